"""The table of docs/howto/migrate.md: calls on labels that are complete, with void, or without a class."""

import importlib
import importlib.util
import os
import re
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from balanced_jax import losses
from balanced_jax.losses import masked_mean
from balanced_jax.masks import fixed_class_weights, valid_mask

os.environ["KERAS_BACKEND"] = "jax"

PACKAGES = {
    "PyTorch": "torch",
    "segmentation_models_pytorch": "segmentation_models_pytorch",
    "MONAI": "monai",
    "torchvision": "torchvision",
    "kornia": "kornia",
    "Keras": "keras",
    "optax": "optax",
}
ON_PYTORCH = ("PyTorch", "segmentation_models_pytorch", "MONAI", "torchvision", "kornia")
CONDITIONS = ("complete", "void", "absent")
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "migrate.md"


def rows():
    library = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("### "):
            library = line.removeprefix("### ")
        elif library and line.startswith("| `"):
            cells = [cell.strip().strip("`") for cell in re.split(r" \| ", line.strip("| "))]
            theirs, ours, *claims, _ = cells
            marks = [pytest.mark.torch] if library in ON_PYTORCH else []
            yield pytest.param(library, theirs, ours, claims, marks=marks, id=theirs)


def example(condition):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 6, 8, 3)).astype(np.float32)
    labels = rng.integers(0, 2 if condition == "absent" else 3, (2, 6, 8))
    labels[:, 0, :3] = (0, 1, 1) if condition == "absent" else (0, 1, 2)
    if condition == "void":
        labels[0, 3:] = 255
        labels[1, 5:] = 255
    return logits, labels


def ours(call, logits, labels):
    def pooled(loss, **options):
        tall = labels.reshape(-1, labels.shape[-1])
        cost = loss(logits.reshape(-1, *logits.shape[2:]), tall, **options)
        return masked_mean(cost, valid_mask(tall, 3))

    names = {name: getattr(losses, name) for name in losses.__all__} | {
        "fixed_class_weights": fixed_class_weights,
        "logits": logits,
        "labels": labels,
        "flags": np.where(labels[..., None] == 255, 255, labels[..., None] == np.arange(3)),
        "mean": lambda cost: masked_mean(cost, valid_mask(labels, 3)),
        "pooled": pooled,
    }
    return eval(call, names)


def theirs(library, call, logits, labels):
    package = importlib.import_module(PACKAGES[library])
    names = {"smp" if library == "segmentation_models_pytorch" else PACKAGES[library]: package}
    one_hot = np.eye(3, dtype=np.float32)[np.where(labels == 255, 0, labels)]
    if library in ON_PYTORCH:
        torch = names["torch"] = importlib.import_module("torch")
        names["F"] = torch.nn.functional
        logits, one_hot = (torch.tensor(np.moveaxis(array, -1, 1)) for array in (logits, one_hot))
        labels = torch.tensor(labels)
    return float(eval(call, names | {"logits": logits, "labels": labels, "one_hot": one_hot}))


@pytest.mark.parametrize(("library", "their_call", "our_call", "claims"), list(rows()))
def test_a_row_holds(library, their_call, our_call, claims):
    if not importlib.util.find_spec(PACKAGES[library]):
        pytest.skip(f"{PACKAGES[library]} is not installed")
    for condition, claim in zip(CONDITIONS, claims, strict=True):
        logits, labels = example(condition)
        here = float(ours(our_call, logits, labels))
        assert np.isfinite(here)
        with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
            warnings.simplefilter("ignore")  # of the other library
            try:
                there = theirs(library, their_call, logits, labels)
            except RuntimeError:  # a label of no class, in a library without a void label
                there = np.nan
        # Sums of 48 numbers in float32, and smoothing of 1e-8 at sums of a few pixels.
        assert np.isclose(here, there, rtol=1e-5) == {"equal": True, "differs": False}[claim], condition


def test_the_page_has_rows_of_every_library():
    assert {row.values[0] for row in rows()} == PACKAGES.keys()
