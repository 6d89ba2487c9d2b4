"""Connected components of class maps."""

import numpy as np

from train.measures.components import find_components, match_components, nonzero_box, without_small

CLASSES = np.array(
    [
        [1, 0, 0, 0, 2],
        [0, 1, 0, 0, 2],
        [0, 0, 0, 1, 2],
        [255, 2, 0, 0, 0],
    ],
    np.uint8,
)


def test_components_touch_by_corners_and_come_class_by_class_from_the_top():
    found = find_components(CLASSES, (1, 2, 3))
    result = list(zip(found.labels, found.areas, found.boxes(), strict=True))
    assert result == [
        (1, 2, (slice(0, 2), slice(0, 2))),
        (1, 1, (slice(2, 3), slice(3, 4))),
        (2, 3, (slice(0, 3), slice(4, 5))),
        (2, 1, (slice(3, 4), slice(1, 2))),
    ]


def test_each_pixel_of_a_class_is_in_one_component():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, (40, 50))
    found = find_components(classes, (1, 2, 3))
    np.testing.assert_array_equal(np.concatenate([[0], found.labels])[found.numbers], classes)
    numbers, odd = range(1, len(found.areas) + 1), np.arange(50) % 2 == 1
    np.testing.assert_array_equal(found.areas, [(found.numbers == k).sum() for k in numbers])
    np.testing.assert_array_equal(
        found.pixels_in(np.broadcast_to(odd, classes.shape)),
        [(found.numbers[:, odd] == k).sum() for k in numbers],
    )


def test_what_is_smaller_than_its_class_allows_is_background():
    expected = CLASSES.copy()
    expected[2, 3] = 0
    expected[3, 1] = 0
    np.testing.assert_array_equal(without_small(CLASSES, (2, 3)), expected)
    np.testing.assert_array_equal(without_small(CLASSES, (1, 1)), CLASSES)
    assert CLASSES[2, 3] == 1  # the map given is as it was


def test_the_box_of_what_is_not_background():
    assert nonzero_box(np.zeros((4, 5), np.uint8)) == (slice(0), slice(0))
    classes = np.zeros((6, 7), np.uint8)
    classes[2, 6], classes[4, 3] = 1, 255
    assert nonzero_box(classes) == (slice(2, 5), slice(3, 7))


def test_components_meet_where_class_and_pixel_agree():
    label, predicted = np.zeros((2, 6, 9), np.uint8)
    label[0, :4] = 1
    predicted[0, 2:6] = 1
    predicted[3, :3], label[3, :2] = 2, 1  # of another class
    label[5], predicted[5, :2] = 255, 1  # void alone
    matches = match_components(predicted, label, 3)
    assert matches.labeled.labels.tolist() == [1, 1]
    assert matches.hits.tolist() == [2, 0]
    assert matches.predicted.labels.tolist() == [1, 1, 2]
    assert matches.false_alarms.tolist() == [False, False, True]
