"""Every loss and mask in other people's programs; `battery.py` has the columns."""

import functools
import inspect

import jax
import numpy as np
import pytest

from balanced_jax import losses, masks
from balanced_jax.diagnostics import diagnose
from balanced_jax.losses import dice_loss, softmax_cross_entropy
from balanced_jax.metrics import confusion_counts
from tests.balanced_jax import battery
from tests.balanced_jax.blobs import ON_HOST
from tests.balanced_jax.losses.examples import example
from tests.balanced_jax.losses.table import ROWS

FAST = {
    "balanced_loss": ("batch, Explicit", "x64", "debug_infs"),
    "boundary_mask": ("batch, Auto", "rows, Auto", "rows, Explicit", "strict promotion"),
    "softmax_focal_loss": ("-inf",),
    "focal_tversky_loss": ("second derivative", "void"),
    "sigmoid_focal_loss": ("void",),
    "lovasz_softmax_loss": ("symbolic sizes", "strict promotion"),
    "confusion_mask": ("empty",),
    battery.label("confusion_mask", battery.CONFUSION): ("strict promotion",),
}
"""One of each column, where it found most; the others are slow tests."""


@pytest.mark.parametrize(
    ("name", "column"),
    [
        pytest.param(*cell, marks=() if cell[1] in FAST.get(cell[0], ()) else pytest.mark.slow)
        for cell in battery.CELLS
    ],
)
def test_it_holds_in_other_programs(name, column):
    battery.COLUMNS[column](battery.ENTRIES[name])


def test_the_page_is_that_of_the_tests():
    assert battery.PAGE.read_text() == battery.page(), "run python -m tests.balanced_jax.battery"


def test_every_public_loss_and_mask_has_a_row():
    public = {*losses.__all__, *masks.__all__}
    of_probabilities = {name for name in public if name.endswith("_with_probabilities")}
    others = {"masked_mean", "truncated_cross_entropy", *ON_HOST, *of_probabilities}
    assert {name.partition("(")[0] for name in battery.ENTRIES} == public - others


def test_every_option_is_switched_on_in_a_row():
    for name in {name.partition("(")[0] for name in battery.ENTRIES}:
        function = getattr(losses, name, None) or getattr(masks, name)
        parameters = inspect.signature(function).parameters.values()
        options = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"weights"}
        rows = "".join(row for row in battery.ENTRIES if row.startswith(f"{name}("))
        assert {option for option in options if f"{option}=" in rows} == options, name


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.slow
def test_counts_diagnostics_and_the_other_method_of_confusion_take_sharded_images(axis):
    logits, labels, _, _ = example(ROWS[0], shape=battery.SHAPE)
    by_convolution = functools.partial(masks.confusion_mask, num_classes=3, method="conv")
    sharding = battery.sharding(axis, explicit=True)
    for function, arguments in (
        (functools.partial(confusion_counts, num_classes=3), (labels, labels)),
        (functools.partial(diagnose, losses.balanced_loss), (logits, labels)),
        (by_convolution, (labels,)),
    ):
        function = jax.jit(function)
        battery.compare(function(*jax.device_put(arguments, sharding)), function(*arguments))


@pytest.mark.parametrize(
    "shape", [(2, 0, 5), *(pytest.param(s, marks=pytest.mark.slow) for s in ((0, 6, 5), (2, 6, 0)))]
)
def test_counts_diagnostics_and_the_other_method_of_confusion_take_empty_images(shape):
    logits, labels = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.int32)
    for sums in jax.tree.leaves(diagnose(softmax_cross_entropy, logits, labels)):
        assert (sums == 0).all()
    for count in confusion_counts(labels, labels, 3):
        np.testing.assert_array_equal(count, np.zeros((shape[0], 3)))
    assert masks.confusion_mask(labels, 3, method="conv").shape == shape


def test_under_shard_map_a_shard_of_rows_is_an_image_of_its_own():
    logits, labels, _, _ = example(ROWS[0], shape=battery.SHAPE)
    rows = battery.sharding(axis=1, explicit=False)
    mapped = jax.shard_map(dice_loss, mesh=rows.mesh, in_specs=rows.spec, out_specs=rows.spec)
    cost = jax.jit(mapped)(logits, labels)
    shards = [dice_loss(z, y) for z, y in zip(np.split(logits, 4, 1), np.split(labels, 4, 1), strict=True)]
    battery.compare(cost, np.concatenate(shards, axis=1))
