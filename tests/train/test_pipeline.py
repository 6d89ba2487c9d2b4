"""Batches: the same examples wherever a run is taken up, on however many hosts."""

import numpy as np
import pytest

from train.data.builder import VOID
from train.data.pipeline import evaluation_batches, resized_label, training_batches


def examples(count=10, height=8, width=8, channels=1):
    return [
        {
            "image": np.full((height, width, channels), i, np.uint8),
            "label": np.arange(height * width, dtype=np.uint8).reshape(height, width) % 3,
            "name": str(i),
        }
        for i in range(count)
    ]


def batches(count=10, **options):
    usual = {"size": None, "crop": (4, 4), "batch_size": 4, "epochs": 3, "seed": 0}
    return list(training_batches(examples(count), **usual | options))


def same(a, b):
    return len(a) == len(b) and all((x[key] == y[key]).all() for x, y in zip(a, b, strict=True) for key in x)


def test_an_epoch_shows_each_example_at_most_once_and_drops_the_rest():
    run = batches()
    assert len(run) == 6
    for epoch in (run[:2], run[2:4], run[4:]):
        seen = np.concatenate([batch["image"][:, 0, 0, 0] for batch in epoch])
        assert len(set(seen)) == 8
    order = [tuple(np.concatenate([b["image"][:, 0, 0, 0] for b in run[i : i + 2]])) for i in (0, 2, 4)]
    assert len(set(order)) == 3


def test_index_is_the_place_in_the_stream():
    assert (np.concatenate([batch["index"] for batch in batches()]) == np.arange(24)).all()


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_a_run_taken_up_again_sees_the_same_batches(step):
    assert same(batches(first_step=step), batches()[step:])


def test_hosts_share_the_batches_of_one():
    shares = [batches(host=host, hosts=2) for host in range(2)]
    for whole, *parts in zip(batches(), *shares, strict=True):
        for key in whole:
            assert (
                np.stack([part[key] for part in parts], axis=1).reshape(whole[key].shape) == whole[key]
            ).all()


def test_another_seed_makes_another_order():
    assert not same(batches(seed=1), batches())


def test_crops_wander_and_keep_image_and_label_together():
    source = examples(1, 16, 16)
    source[0]["image"] = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    source[0]["label"] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    run = list(training_batches(source, size=None, crop=(5, 7), batch_size=1, epochs=50, seed=0))
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


def test_resizing_keeps_labels_whole():
    batch = batches(size=(16, 12), crop=None)[0]
    assert batch["image"].shape == (4, 16, 12, 1)
    assert set(np.unique(batch["label"])) <= {0, 1, 2}


@pytest.mark.parametrize("channels", [1, 3])
def test_evaluation_shows_every_example_once_at_its_own_size(channels):
    mixed = examples(3, 8, 6, channels) + examples(2, 5, 9, channels)
    run = list(evaluation_batches(mixed, size=(4, 4), batch_size=2, canvas=(8, 9)))
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
    seen = np.concatenate([batch["seen"] for batch in run])
    for example, label in zip(mixed, seen, strict=False):
        assert (label == resized_label(example["label"], (4, 4))).all()
    assert (seen[-1] == VOID).all()


def test_without_a_size_images_are_padded_to_the_canvas():
    (batch,) = evaluation_batches(examples(2), size=None, batch_size=2, canvas=(10, 12))
    assert batch["image"].shape == (2, 10, 12, 1)
    assert (batch["extent"] == [8, 8]).all()
    assert (batch["seen"] == batch["label"]).all()


def test_labels_may_be_missing():
    source = [{"image": example["image"]} for example in examples(2)]
    (batch,) = evaluation_batches(source, size=None, batch_size=2, canvas=(8, 8))
    assert (batch["label"] == VOID).all()
    assert (batch["size"] == [8, 8]).all()


def test_of_no_examples_there_is_no_batch():
    assert list(evaluation_batches([], size=None, batch_size=2, canvas=(8, 8))) == []
