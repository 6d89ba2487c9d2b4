"""How far classes are muted, against numbers worked out by hand."""

import numpy as np
import pytest

from train.inspection.muting import ClassMuting, measure_muting, muting_warnings

CLASSES = ("background", "crack", "dent", "rust")


def line(thickness: int, class_id: int = 1, size: int = 64) -> np.ndarray:
    """A straight line through the whole image."""
    label = np.zeros((size, size), np.uint8)
    label[:, 20 : 20 + thickness] = class_id
    return label


# The mask's mean over a line, for two classes: thickness, window, figure.
LINES = [(1, 3, 0.08), (3, 3, 0.39), (5, 3, 0.63), (1, 7, 0.41), (4, 7, 0.01), (7, 7, 0.30)]


@pytest.mark.parametrize(("thickness", "window", "expected"), LINES)
def test_a_line_keeps_as_much_as_the_table_says(thickness, window, expected):
    row = measure_muting([line(thickness)], ("background", "crack"), window).classes["crack"]
    assert row.mask == pytest.approx(expected, abs=0.006)
    assert row.rescaled_mask == pytest.approx(row.mask)


def test_the_rescaled_mask_does_not_depend_on_the_number_of_classes():
    row = measure_muting([line(3)], CLASSES, 3).classes["crack"]
    assert row.rescaled_mask == pytest.approx(0.39, abs=0.006)
    assert row.mask == pytest.approx(0.5 + 0.5 * 0.39, abs=0.006)


def test_images_pixels_and_means_over_images_are_counted():
    result = measure_muting([line(1), line(5), line(8, 2), np.full((64, 64), 255, np.uint8)], CLASSES, 3)
    crack, dent, rust = (result.classes[name] for name in CLASSES[1:])
    assert result.images == 4
    assert (crack.images, dent.images, rust.images) == (2, 1, 0)
    assert crack.pixel_fraction == pytest.approx(6 / (3 * 64))
    assert crack.rescaled_mask == pytest.approx((0.08 + 0.63) / 2, abs=0.006)
    assert rust == ClassMuting(0, 0.0, None, None)


def test_images_of_any_size_are_measured_as_if_each_were_alone():
    rng = np.random.default_rng(0)
    labels = [(rng.random(size) < 0.1).astype(np.uint8) for size in [(40, 64), (64, 64), (33, 70), (64, 64)]]
    labels[0][:9] = 255

    def mean(labels) -> float:
        mask = measure_muting(labels, CLASSES[:2], 3).classes["crack"].mask
        assert mask is not None
        return mask

    single = [mean([label]) for label in labels]
    assert mean(iter(labels)) == pytest.approx(np.mean(single), abs=1e-6)


def test_a_part_without_images_has_no_figures():
    assert measure_muting([], CLASSES, 3).classes["crack"].mask is None


def test_a_muted_class_is_named_with_its_figure_and_the_remedies():
    (text,) = muting_warnings(measure_muting([line(3), line(12, 2)], CLASSES, 7))
    assert text.startswith("crack: ")
    for part in ("window 7", "0.01", "smaller window", "input.size", "minimum", "preserve_class_mass"):
        assert part in text
    assert "\n" not in text


def test_nothing_smaller_is_advised_than_the_smallest_window():
    (text,) = muting_warnings(measure_muting([line(1)], CLASSES, 3))
    assert "smaller window" not in text


def test_without_a_mask_the_labels_are_counted_and_nothing_is_muted():
    result = measure_muting([line(1)], CLASSES, None)
    assert result.classes["crack"].images == 1
    assert result.classes["crack"].rescaled_mask is None
    assert muting_warnings(result) == []
