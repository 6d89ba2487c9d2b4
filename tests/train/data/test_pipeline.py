"""Batches: equal examples at whatever step a run is resumed, on any number of hosts."""

import jax
import numpy as np
import pytest

from train.data.example import VOID
from train.data.pipeline import evaluation_batches, images_per_pass, training_batches
from train.data.resize import resized_label


def examples(count=10, height=8, width=8, channels=1):
    return [
        {
            "image": np.full((height, width, channels), i, np.uint8),
            "label": np.arange(height * width, dtype=np.uint8).reshape(height, width) % 3,
            "name": str(i),
        }
        for i in range(count)
    ]


def surfaces(defects, height=24, width=30):
    """Examples whose pixels hold the index of the example, with a pixel of each given defect."""
    out = []
    for i, pixels in enumerate(defects):
        label = np.zeros((height, width), np.uint8)
        for (row, column), k in pixels.items():
            label[row, column] = k
        out.append({"image": np.full((height, width, 1), i, np.uint8), "label": label})
    return out


def seen(run):
    """Return the index of each example in the stream."""
    return np.concatenate([batch["image"][:, 0, 0, 0] for batch in run]).tolist()


def run_of(source, **options):
    """Batches of one image."""
    usual = {"size": None, "crop": (7, 9), "batch_size": 1, "passes": 1, "seed": 0}
    return list(training_batches(source, **usual | options))


FEW_DEFECTS = [i in (1, 4, 8, 9) for i in range(10)]
SAMPLINGS = [{}, {"centered": 0.5}, {"defective": FEW_DEFECTS}, {"defective": FEW_DEFECTS, "centered": 1.0}]


def batches(count=10, **options):
    usual = {"size": None, "crop": (4, 4), "batch_size": 4, "passes": 3, "seed": 0}
    return list(training_batches(examples(count), **usual | options))


def same(a, b):
    return len(a) == len(b) and jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_an_epoch_shows_each_example_at_most_once_and_drops_the_rest():
    run = batches()
    assert len(run) == 6
    for epoch in (run[:2], run[2:4], run[4:]):
        seen = np.concatenate([batch["image"][:, 0, 0, 0] for batch in epoch])
        assert len(set(seen)) == 8
    order = [tuple(np.concatenate([b["image"][:, 0, 0, 0] for b in run[i : i + 2]])) for i in (0, 2, 4)]
    assert len(set(order)) == 3


def test_index_counts_the_examples_of_the_run():
    assert (np.concatenate([batch["index"] for batch in batches()]) == np.arange(24)).all()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_a_resumed_run_sees_the_same_batches(step, sampling):
    assert same(batches(first_step=step, **sampling), batches(**sampling)[step:])


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("hosts", [2, 4])
def test_batches_of_several_hosts_make_up_those_of_one(hosts, sampling):
    shares = [batches(host=host, hosts=hosts, **sampling) for host in range(hosts)]
    whole = batches(**sampling)
    dealt = jax.tree.map(lambda x, *parts: np.stack(parts, axis=1).reshape(x.shape), whole, *shares)
    assert same(dealt, whole)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_different_seed_gives_a_different_order(sampling):
    assert same(batches(**sampling), batches(**sampling))
    assert not same(batches(seed=1, **sampling), batches(**sampling))


@pytest.mark.parametrize("defective", [3, 5, 8])
@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_images_with_and_without_defects_alternate(defective, batch_size):
    marks = [i < defective for i in range(10)]
    run = batches(defective=marks, batch_size=batch_size, passes=5)
    steps = images_per_pass(10, defective) // batch_size
    assert len(run) == 5 * steps
    for done in range(0, 5 * steps, steps):
        places = seen(run[done : done + steps])
        assert [marks[i] for i in places] == [place % 2 == 0 for place in range(len(places))]


@pytest.mark.parametrize("defective", [3, 7])
def test_a_pass_shows_all_of_the_rarer_kind_and_continues_in_the_other_kind(defective):
    marks = [i < defective for i in range(10)]
    places = seen(batches(defective=marks, batch_size=2, passes=14))
    rarer = [i for i in places if marks[i] is (defective == 3)]
    other = [i for i in places if marks[i] is not (defective == 3)]
    assert len(rarer) == len(other) == 14 * 3
    orders = [rarer[i : i + 3] for i in range(0, 42, 3)]
    assert all(len(set(order)) == 3 for order in orders)
    assert len(set(map(tuple, orders))) > 3
    orders = [other[i : i + 7] for i in range(0, 42, 7)]
    assert all(len(set(order)) == 7 for order in orders)
    assert len(set(map(tuple, orders))) == 6


def test_two_kinds_of_equal_number_form_different_pairs_each_pass():
    places = seen(batches(defective=[i < 5 for i in range(10)], batch_size=2, passes=10))
    assert len(set(zip(places[::2], places[1::2], strict=True))) > 12


@pytest.mark.parametrize(
    ("images", "defective", "shown"), [(10, None, 10), (10, 3, 6), (10, 7, 6), (4, 2, 4)]
)
def test_a_pass_is_all_images_or_twice_the_rarer_kind(images, defective, shown):
    assert images_per_pass(images, defective) == shown


@pytest.mark.parametrize("pixel", [(0, 0), (0, 15), (23, 29), (12, 0), (12, 15), (5, 27)])
@pytest.mark.parametrize("crop", [(7, 9), (8, 4), (24, 30), (40, 9), (40, 50), (1, 1)])
def test_a_centered_crop_has_its_pixel_as_near_to_the_center_as_the_edge_allows(pixel, crop):
    (batch,) = run_of(surfaces([{pixel: 3}]), crop=crop, centered=1.0)
    assert batch["label"].shape == (1, *crop)
    (place,) = np.argwhere(batch["label"][0] == 3)
    for center, result, side, whole in zip(pixel, place, crop, (24, 30), strict=True):
        first = center - result
        assert 0 <= first <= max(0, whole - side)
        inside = side // 2 <= center <= whole - (side - side // 2)
        assert result == side // 2 if inside else first in (0, max(0, whole - side))


def test_a_centered_crop_may_have_any_pixel_of_its_class_in_the_center():
    source = surfaces([{(8, column): 1 for column in range(10, 16)}])
    run = run_of(source, crop=(1, 1), centered=1.0, passes=60)
    assert all(batch["label"] == 1 for batch in run)
    source[0]["image"] = np.arange(24 * 30, dtype=np.int32).reshape(24, 30, 1)
    columns = [
        int(batch["image"][0, 0, 0, 0]) % 30 for batch in run_of(source, crop=(1, 1), centered=1.0, passes=60)
    ]
    assert set(columns) == set(range(10, 16))


def test_classes_are_equally_probable_for_any_size_of_defect():
    large = {(row, column): 2 for row in range(12, 24) for column in range(30)}
    run = run_of(surfaces([{(2, 2): 1, **large}]), crop=(1, 1), centered=1.0, passes=400)
    small = sum(int(batch["label"][0, 0, 0]) == 1 for batch in run)
    assert 160 < small < 240


def test_a_crop_is_centered_with_the_given_probability():
    source = surfaces([{(100, 100): 1}], 200, 200)
    run = run_of(source, crop=(3, 3), centered=0.25, passes=400)
    hits = sum(int(batch["label"][0, 1, 1]) == 1 for batch in run)
    assert 70 < hits < 130


def test_without_a_defect_every_crop_is_possible():
    source = surfaces([{}, {(3, 3): VOID}])
    for example in source:
        example["image"] = np.arange(24 * 30).astype(np.uint8).reshape(24, 30, 1)
    windows = {batch["image"].tobytes() for batch in run_of(source, crop=(5, 5), centered=1.0, passes=60)}
    assert len(windows) > 50


def test_a_crop_is_centered_on_a_defect_of_the_resized_label():
    source = surfaces([{(11, 13): 1}])
    source[0]["label"][6:18, 6:18] = 2
    (batch,) = run_of(source, size=(4, 5), crop=(1, 1), centered=1.0)
    assert batch["label"] == 2


def test_crops_are_random_windows_of_image_and_label_alike():
    source = examples(1, 16, 16)
    source[0]["image"] = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    source[0]["label"] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    run = list(training_batches(source, size=None, crop=(5, 7), batch_size=1, passes=50, seed=0))
    assert all((batch["image"][..., 0] == batch["label"]).all() for batch in run)
    corners = {divmod(int(batch["label"][0, 0, 0]), 16) for batch in run}
    assert len(corners) > 20
    assert max(y for y, _ in corners) == 11
    assert max(x for _, x in corners) == 9


def test_a_crop_larger_than_the_image_is_filled_with_void():
    batch = batches(crop=(12, 6))[0]
    assert batch["label"].shape == (4, 12, 6)
    assert (batch["label"][:, 8:] == VOID).all()
    assert (batch["label"][:, :8] != VOID).all()
    assert (batch["image"][:, 8:] == batch["image"][:, 7:8]).all()  # no edge that looks like a defect


def test_resizing_a_label_makes_no_new_classes():
    batch = batches(size=(16, 12), crop=None)[0]
    assert batch["image"].shape == (4, 16, 12, 1)
    assert set(np.unique(batch["label"])) <= {0, 1, 2}


@pytest.mark.parametrize("channels", [1, 3])
def test_evaluation_batches_hold_every_example_once_with_the_label_at_its_size(channels):
    mixed = examples(3, 8, 6, channels) + examples(2, 5, 9, channels)
    masks = {"x": lambda label: label / np.float32(4)}
    run = list(evaluation_batches(mixed, size=(4, 4), batch_size=2, canvas=(8, 9), masks=masks))
    assert len(run) == 3
    real = np.concatenate([batch["real"] for batch in run])
    assert (real == [1, 1, 1, 1, 1, 0]).all()
    labels = np.concatenate([batch["label"] for batch in run])
    sizes = np.concatenate([batch["size"] for batch in run]).astype(int)
    for example, label, (height, width) in zip(mixed, labels, sizes, strict=False):
        assert (label[:height, :width] == example["label"]).all()
        assert (label[height:] == VOID).all()
        assert (label[:, width:] == VOID).all()
    assert (labels[-1] == VOID).all()
    assert run[0]["image"].shape == (2, 4, 4, channels)
    seen = np.concatenate([batch["input_label"] for batch in run])
    for example, label in zip(mixed, seen, strict=False):
        assert (label == resized_label(example["label"], (4, 4))).all()
    assert (seen[-1] == VOID).all()
    masked = np.concatenate([batch["masks"]["x"] for batch in run])
    assert masked.dtype == np.float32
    assert (masked[:-1] == seen[:-1] / 4).all()


def test_without_a_size_images_are_padded_to_the_canvas():
    masks = {"x": lambda label: label + np.float32(1)}
    two = examples(2)
    (batch,) = evaluation_batches(two, size=None, batch_size=2, canvas=(10, 12), masks=masks)
    images = [np.pad(example["image"], ((0, 2), (0, 4), (0, 0)), mode="edge") for example in two]
    assert (batch["image"] == images).all()
    assert (batch["extent"] == [8, 8]).all()
    assert (batch["input_label"] == batch["label"]).all()
    inside = batch["label"] != VOID
    assert (batch["masks"]["x"] == np.where(inside, batch["label"] + np.float32(1), 0)).all()


def test_no_examples_make_no_batch():
    assert list(evaluation_batches([], size=None, batch_size=2, canvas=(8, 8))) == []
