"""Defects pasted from one training image into another."""

from collections import Counter
from typing import Any

import grain
import jax
import numpy as np
import pytest
from scipy import ndimage

from train.data.cache import ExampleCache
from train.data.example import VOID
from train.data.injection import Donors, cut_out, paste
from train.data.pipeline import training_batches

MARGIN = 4
SHAPE = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0]], bool)
"""A component without symmetry, connected at a corner."""
DRAWS = range(20)


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(height, width, channels=1, low=0, high=256, seed=0):
    return rng(seed).integers(low, high, (height, width, channels), np.uint8)


def donor(k=2, channels=1):
    """A dark defect that differs in every pixel, on an even background."""
    label = np.zeros((30, 40), np.uint8)
    label[10:13, 20:24][SHAPE] = k
    image = np.full((30, 40, channels), 100, np.uint8)
    image[label == k] = np.arange(SHAPE.sum())[:, None] + 10 * np.arange(channels)
    return image, label


def symmetries(x):
    """All mirrorings and turns of an array."""
    return [np.rot90(y, q) for y in (x, x[:, ::-1]) for q in range(4)]


def injected(image, label, seed, source=None):
    """The image and label with a defect of class 2 of the donor."""
    draws = rng(seed)
    defect = cut_out(*(source or donor(2, image.shape[-1])), k=2, rng=draws)
    assert defect is not None
    return paste(defect, image, label, draws)


def box(where):
    rows, columns = np.nonzero(where)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_inside_its_label_a_defect_has_the_pixels_of_the_donor(channels):
    pixels, labels = (x[box(donor()[1])] for x in donor(channels=channels))
    seen = set()
    for seed in DRAWS:
        image, label = injected(
            np.full((50, 60, channels), 100, np.uint8), np.zeros((50, 60), np.uint8), seed
        )
        window = box(label == 2)
        # On a background of the donor's tone nothing is shifted.
        expected = [i for i, turned in enumerate(symmetries(labels)) if np.array_equal(turned, label[window])]
        assert len(expected) == 1
        np.testing.assert_array_equal(
            image[window][label[window] == 2], symmetries(pixels)[expected[0]][label[window] == 2]
        )
        seen.update(expected)
    assert len(seen) > 4


def test_a_defect_is_as_much_darker_than_its_new_background_as_than_its_old():
    for tone in (120, 200):
        image, label = injected(np.full((50, 60, 1), tone, np.uint8), np.zeros((50, 60), np.uint8), 0)
        assert sorted(image[label == 2, 0]) == list(range(tone - 100, tone - 100 + SHAPE.sum()))
    image, label = injected(np.full((50, 60, 1), 97, np.uint8), np.zeros((50, 60), np.uint8), 0)
    assert sorted(image[label == 2, 0]) == [0, 0, 0, 0, 1, 2]  # what would be below 0 is 0


def test_beyond_the_margin_nothing_changes():
    image, label = noise(30, 34, 3), np.zeros((30, 34), np.uint8)
    for seed in DRAWS:
        after, new = injected(image, label, seed)
        changed = (after != image).any(-1)
        distance: Any = ndimage.distance_transform_edt(new != 2)
        assert (distance[changed] < MARGIN + 1).all()
        assert changed.sum() > (new == 2).sum()


def test_void_and_the_defects_of_the_image_stay_and_nothing_that_is_cached_changes():
    image, label = (
        noise(20, 24, 3),
        rng(1).choice(np.array([0, 1, VOID], np.uint8), (20, 24), p=[0.8, 0.1, 0.1]),
    )
    image_before, label_before = image.copy(), label.copy()
    for seed in DRAWS:
        after, new = injected(image, label, seed)
        assert np.array_equal(new[label != 0], label[label != 0])
        assert np.array_equal(after[label != 0], image[label != 0])
        assert set(new[label == 0]) == {0, 2}
    assert np.array_equal(image, image_before)
    assert np.array_equal(label, label_before)


def test_a_defect_fades_into_the_image_over_its_margin():
    label = np.zeros((21, 21), np.uint8)
    label[10, 10] = 2
    source = np.full((21, 21, 1), 0, np.uint8)
    source[:, 11:] = 200  # the margin shows where it is opaque
    draws = rng()
    defect = cut_out(source, label, 2, draws)
    assert defect is not None
    assert defect.opacity.shape == (9, 9)
    np.testing.assert_allclose(defect.opacity[4], [0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2])
    assert (defect.opacity[0, :4] == 0).any()


def test_what_else_the_donor_shows_is_left_behind():
    image, label = donor()
    label[14:16, 20:24] = 1
    label[9, 20:22] = VOID
    label[20:23, 5:8] = 2  # another defect of the class
    marked = np.where((label == 0) | (label == 2), image[..., 0], 255)[..., None]
    target = np.full((60, 70, 1), 100, np.uint8)
    sizes = set()
    for seed in DRAWS:
        after, new = injected(target, np.zeros((60, 70), np.uint8), seed, (marked, label))
        assert set(np.unique(new)) == {0, 2}
        assert after.max() == 100  # nothing of the 255 at other labels
        sizes.add(int((new == 2).sum()))
    assert sizes == {6, 9}  # one defect or the other


def test_larger_defects_are_drawn_oftener_within_an_image():
    label = np.zeros((40, 40), np.uint8)
    label[:20, :20] = 2
    label[30::4, 30::4] = 2  # nine specks
    areas = [int((cut_out(noise(40, 40), label, 2, rng(s)).opacity == 1).sum()) for s in range(30)]  # pyright: ignore[reportOptionalMemberAccess]
    assert areas.count(400) >= 28  # 400 of 409 pixels


@pytest.mark.parametrize("size", [(5, 60), (60, 3), (2, 2), (30, 40)])
def test_a_defect_larger_than_the_image_is_pasted_in_part(size):
    source = noise(30, 40), np.full((30, 40), 2, np.uint8)
    image, label = injected(np.zeros((*size, 1), np.uint8), np.zeros(size, np.uint8), 0, source)
    assert image.shape == (*size, 1)
    height, width = size
    assert (label == 2).sum() in (min(height, 30) * min(width, 40), min(height, 40) * min(width, 30))


@pytest.mark.parametrize(("window", "sides"), [(np.s_[:5, 7:9], 1), (np.s_[25:, 38:], 2)])
def test_a_defect_that_reached_one_side_of_its_image_is_pasted_to_a_side(window, sides):
    label = np.zeros((30, 40), np.uint8)
    label[window] = 2
    ends = []
    for seed in DRAWS:
        _, new = injected(
            np.zeros((50, 60, 1), np.uint8), np.zeros((50, 60), np.uint8), seed, (noise(30, 40), label)
        )
        assert (new == 2).sum() == (label == 2).sum()
        ends.append([(side == 2).any() for side in (new[0], new[-1], new[:, 0], new[:, -1])])
    assert {sum(touched) for touched in ends} == {sides}
    assert np.any(ends, 0).all()  # each side in some draw


def test_an_image_without_the_class_has_no_defect():
    assert cut_out(noise(8, 8), np.ones((8, 8), np.uint8), 2, rng()) is None


def examples(counts):
    """Examples of 16x16 pixels, each with a pixel of void and one of its class."""
    out = []
    for i, k in enumerate(counts):
        label = np.zeros((16, 16), np.uint8)
        label[0, 0] = VOID
        if k:
            label[8, 8] = k
        out.append({"image": np.full((16, 16, 1), 10 * (i + 1), np.uint8), "label": label})
    return out


KINDS = [0] * 6 + [1] * 8 + [2] * 2
PRESENT = [(0, k) if k else (0,) for k in KINDS]


def batches(inject: float = 0.7, **options):
    usual = {"size": None, "crop": (12, 12), "batch_size": 4, "passes": 3, "seed": 0, "present": PRESENT}
    return list(training_batches(examples(KINDS), inject=inject, **usual | options))


def same(a, b):
    return len(a) == len(b) and jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_the_rarer_class_is_pasted_oftener():
    donors = Donors(ExampleCache(examples(KINDS), None, {}, memory=10**6), PRESENT)
    clean, pasted = ExampleCache(examples([0]), None, {}, memory=0)[0], Counter()
    for seed in range(200):
        pasted.update(donors.inject(clean, rng(seed))["label"].ravel().tolist())
    # 2 images to 8: four fifths of 200, and four standard deviations of a binomial
    assert abs(pasted[2] - 160) < 4 * np.sqrt(200 * 0.8 * 0.2)
    assert pasted[1] + pasted[2] == 200


def test_the_donors_are_the_examples_that_show_a_defect():
    read = set()

    class Watched(list):
        def __getitem__(self, index):
            read.add(index)
            return super().__getitem__(index)

    donors = Donors(ExampleCache(Watched(examples(KINDS)), None, {}, memory=0), PRESENT)
    clean = ExampleCache(examples([0]), None, {}, memory=0)[0]
    for seed in range(400):
        donors.inject(clean, rng(seed))
    assert read == {i for i, k in enumerate(KINDS) if k}


def test_a_class_that_was_lost_when_labels_were_resized_leaves_the_image_as_it_is():
    cache = ExampleCache(examples([0, 1]), (2, 2), {}, memory=10**6)
    assert not (cache[1]["label"] == 1).any()
    assert Donors(cache, [(0,), (0, 1)]).inject(cache[0], rng()) is cache[0]


@pytest.mark.parametrize("inject", [0.3, 1.0])
def test_defects_are_pasted_with_the_given_probability(inject):
    run = batches(inject, crop=(16, 16), passes=20)
    labels, places = (np.concatenate([batch[name] for batch in run]) for name in ("label", "example"))
    own = np.array(KINDS)[places] > 0
    pasted = ((labels > 0) & (labels < VOID)).sum((1, 2)) - own
    # Four standard deviations; one in 128 defects is hidden by void or by the pixel of the image.
    assert abs(pasted.mean() - inject * 127 / 128) < 4 * np.sqrt(0.25 / len(pasted))
    assert pasted.max() == 1


@pytest.mark.parametrize("step", [1, 5])
def test_a_resumed_run_has_the_same_defects(step):
    assert same(batches(first_step=step), batches()[step:])


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_the_defects_of_one(hosts):
    shares = [batches(host=host, hosts=hosts) for host in range(hosts)]
    whole = batches()
    dealt = jax.tree.map(lambda x, *parts: np.stack(parts, axis=1).reshape(x.shape), whole, *shares)
    assert same(dealt, whole)


def test_defects_depend_on_the_seed_and_neither_on_the_cache_nor_on_the_number_of_threads(monkeypatch):
    expected = batches()
    assert same(batches(memory=10**6), expected)
    assert not same(batches(seed=1), expected)
    monkeypatch.setattr("train.data.pipeline._READ_AHEAD", grain.ReadOptions(1, 1))
    assert same(batches(), expected)


def test_masks_are_those_of_the_injected_label():
    masks = {"x": lambda label: (label / 4).astype(np.float32)}
    for memory in (0, 10**6):
        run = batches(1.0, masks=masks, memory=memory)
        for batch in run:
            np.testing.assert_array_equal(batch["masks"]["x"], (batch["label"] / 4).astype(np.float32))


def test_crops_can_be_centered_on_pasted_defects():
    run = batches(1.0, crop=(3, 3), centered=1.0)
    assert all(((b["label"] > 0) & (b["label"] < VOID)).any((1, 2)).all() for b in run)
