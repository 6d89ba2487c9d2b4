"""Messages about wrong arguments: the argument, what it got, what it takes."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import balanced_jax
from balanced_jax import losses, masks
from tests.balanced_jax.blobs import ON_HOST

ROOT = Path(balanced_jax.__file__).parents[1]
NOT_OF_LABELS = ("masked_mean", "truncated_cross_entropy")
LOSSES = [
    name for name in losses.__all__ if name not in NOT_OF_LABELS and not name.endswith("_with_probabilities")
]
SIGMOID = [name for name in LOSSES if name.startswith("sigmoid")]
SOFTMAX = [name for name in LOSSES if name not in SIGMOID]
SHAPES = {f: "(2, 4, 5, 3)" if f in SIGMOID else "(2, 4, 5)" for f in LOSSES}  # of the labels that each takes

# What it is, then words of the message: the argument, what it got, what it takes.
MESSAGES = {
    **{f"{f}: integer logits": ("TypeError", "logits", "int", "floating point") for f in LOSSES},
    **{
        f"{f}: float labels": ("TypeError", "labels", "float32", "integers", 'astype("int32")')
        for f in LOSSES + masks.__all__
    },
    **{f"{f}: boolean labels": ("TypeError", "labels", "bool", "integers") for f in LOSSES},
    **{f"{f}: one class": ("ValueError", "logits", "(2, 4, 5, 1)", "at least 2") for f in SOFTMAX},
    **{f"{f}: no class in logits": ("ValueError", "logits", "(2, 4, 5, 0)", "at least 1") for f in SIGMOID},
    **{
        f"{f}: class indices": ("ValueError", "labels", "(2, 4, 5)", "(2, 4, 5, 3)", "softmax")
        for f in SIGMOID
    },
    **{f"{f}: logits of a row": ("ValueError", "logits", "(5, 3)", "[..., H, W, C]") for f in LOSSES},
    **{f"{f}: other labels": ("ValueError", "labels", "(2, 3, 5", SHAPES[f]) for f in LOSSES},
    **{f"{f}: under jit": ("ValueError", "labels", "(2, 3, 5", SHAPES[f]) for f in LOSSES},
    **{f"{f}: other weights": ("ValueError", "weights", "(5,)", "(2, 4, 5)") for f in LOSSES},
    **{f"{f}: labels of a row": ("ValueError", "labels", "(5,)", "[..., H, W]") for f in masks.__all__},
    **{
        f"{f}: classes traced": ("TypeError", "num_classes", 'add "num_classes" to static_argnames')
        for f in masks.__all__
        if f not in ON_HOST
    },
    **{f"{f}: no class": ("ValueError", "num_classes", "got 0", "at least") for f in masks.__all__},
    "eps_inf of 1": ("ValueError", "eps_inf", "1.0", "[0, 1)"),
    "eps_sup of 0": ("ValueError", "eps_sup", "0.0", "(0, 1]"),
    "eps_sup above 1": ("ValueError", "eps_sup", "1.5", "(0, 1]"),
    "eps_inf below 0": ("ValueError", "eps_inf", "-0.5", "[0, 1)"),
    "eps_inf at eps_sup": ("ValueError", "eps_inf=0.5", "eps_sup=0.5", "below"),
    "eps_inf above eps_sup": ("ValueError", "eps_inf=0.8", "eps_sup=0.2", "below"),
    "eps_inf above eps_sup under jit": ("ValueError", "eps_inf=0.8", "eps_sup=0.7", "below"),
    "eps_inf nan": ("ValueError", "eps_inf", "nan", "[0, 1)"),
    "eps_inf of a row": ("ValueError", "eps_inf", "(5,)", "one number"),
    "integer error": ("TypeError", "error", "int", "floating point"),
    "q of 0": ("ValueError", "q", "0.0", "(0, 1]"),
    "q above 1": ("ValueError", "q", "1.5", "(0, 1]"),
    "integer targets": ("TypeError", "targets", "int", "floating point"),
    "targets of labels": ("ValueError", "targets", "(2, 4, 5)", "(2, 4, 5, 3)"),
    "weights of targets": ("ValueError", "weights", "(2, 4, 5, 3)", "(2, 4, 5)"),
    "one class with probabilities": ("ValueError", "logits", "(2, 4, 5, 1)", "at least 2"),
    "frequencies of two": ("ValueError", "class_frequencies", "(2,)", "(3,)"),
    "frequency of 0": ("ValueError", "class_frequencies", "[0.5, 0.5, 0.0]", "above 0"),
    "tau infinite": ("ValueError", "tau", "inf", "finite"),
    "logits of a row to adjust": ("ValueError", "logits", "(3,)", "[..., H, W, C]"),
    "neighbors of other labels": ("ValueError", "labels", "(2, 3, 5)", "(2, 4, 5)"),
    "neighbors of float labels": ("TypeError", "labels", "float32", "integers"),
    "neighbors in an even window": ("ValueError", "window", "got 4", "odd and at least 1"),
    "shares in an even window": ("ValueError", "window", "got 2", "odd and at least 3"),
    "shares of float labels": ("TypeError", "labels", "float32", "integers"),
    "skeletons under jit": ("TypeError", "labels", "Trace", "concrete"),
    "skeletons thinned": ("ValueError", "dilations", "got -1", "at least 0"),
    "gamma below 0": ("ValueError", "gamma", "-1", "at least 0"),
    "alpha of two": ("ValueError", "alpha", "(2,)", "(3,)"),
    "alpha below 0": ("ValueError", "alpha", "[1.0, -1.0, 1.0]", "at least 0"),
    "alpha of one": ("ValueError", "alpha", "()", "(3,)"),
    "gamma below 0 with sigmoid": ("ValueError", "gamma", "-1", "at least 0"),
    "alpha above 1 with sigmoid": ("ValueError", "alpha", "1.5", "[0, 1]"),
    "alpha of many with sigmoid": ("ValueError", "alpha", "(3,)", "one number"),
    "eps_inf above eps_sup with sigmoid": ("ValueError", "eps_inf=0.8", "eps_sup=0.7", "below"),
    "eps_sup above 1 of all entries": ("ValueError", "eps_sup", "2.0", "(0, 1]"),
    "window even with sigmoid": ("ValueError", "window", "got 4", "odd and at least 3"),
    "alpha of 0 in Tversky": ("ValueError", "alpha", "0.0", "above 0"),
    "beta below 0 in Tversky": ("ValueError", "beta", "-1.0", "above 0"),
    "beta of 0 in focal Tversky": ("ValueError", "beta", "0.0", "above 0"),
    "gamma of 0 in focal Tversky": ("ValueError", "gamma", "0.0", "above 0"),
    "smoothing below 0 in IoU": ("ValueError", "smoothing", "-1.0", "above 0"),
    "classes unknown to Lovász": ("ValueError", "classes", "got 3", '"present" or "all"'),
    "values of two": ("ValueError", "values", "(2,)", "(3,)"),
    "values of one": ("ValueError", "values", "()", "(3,)"),
    "values of two under jit": ("ValueError", "values", "(2,)", "(3,)"),
    "values below 0": ("ValueError", "values", "[1.0, -2.0, 3.0]", "at least 0"),
    "values infinite": ("ValueError", "values", "[1.0, inf, 1.0]", "finite"),
    "values nan under jit": ("ValueError", "values", "[1.0, nan, 1.0]", "finite"),
    "inverse weights under jit": ("TypeError", "labels", "Trace", "concrete"),
    "inverse weights crossed": ("ValueError", "minimum=5", "maximum=2", "[0, maximum]"),
    "inverse weights below 0": ("ValueError", "minimum=-1", "[0, maximum]"),
    "smoothing of 0": ("ValueError", "smoothing", "0.0", "above 0"),
    "classes unknown": ("ValueError", "classes", "'some'", '"present" or "all"'),
    "beta of 1": ("ValueError", "beta", "1.0", "[0, 1)"),
    "beta below 0": ("ValueError", "beta", "-0.1", "[0, 1)"),
    "beta of 1 in the loss": ("ValueError", "beta", "1.0", "[0, 1)"),
    "floor below 0": ("ValueError", "floor", "-1.0", "at least 0"),
    "power infinite": ("ValueError", "power", "inf", "finite"),
    "counting unknown": ("ValueError", "counting", "'pixel'", '"percent" or "pixels"'),
    "window even": ("ValueError", "window", "got 4", "odd and at least 3"),
    "window of 1": ("ValueError", "window", "got 1", "odd and at least 3"),
    "window float": ("TypeError", "window", "7.0", "an integer"),
    "window traced": ("TypeError", "window", "Trace", 'add "window" to static_argnames'),
    "window of the loss traced": ("TypeError", "window", "Trace", 'add "window" to static_argnames'),
    "relative traced": ("TypeError", "relative", "Trace", 'add "relative" to static_argnames'),
    "mass traced": ("TypeError", "preserve_class_mass", 'add "preserve_class_mass" to static_argnames'),
    "classes of counts traced": ("TypeError", "num_classes", 'add "num_classes" to static_argnames'),
    **{
        f"{f}: {layout}": ("ValueError", "labels", "(2, 4, 5)", remedy)
        for f in SOFTMAX
        for layout, remedy in (
            ("one-hot labels", "labels.argmax(-1)"),
            ("one-hot labels, channels first", "labels.argmax(-3)"),
            ("labels with a channel", "labels[..., 0]"),
            ("labels with a channel first", "labels[..., 0, :, :]"),
        )
    },
    **{
        f"{f}: flags, channels first": (
            "ValueError",
            "labels",
            "(2, 3, 4, 5)",
            "jnp.moveaxis(labels, -3, -1)",
        )
        for f in SIGMOID
    },
    "logits, channels first": ("ValueError", "labels", "jnp.moveaxis(logits, -3, -1)"),
    "minimum above 1": ("ValueError", "minimum", "2.0", "[0, 1]"),
    "method unknown": ("ValueError", "method", "'fft'", '"conv" or None'),
    "confusion of one class": ("ValueError", "num_classes", "got 1", "at least 2"),
    "values of a row": ("ValueError", "values", "(4,)", "[..., H, W]"),
    "values integer": ("TypeError", "values", "int32", "floating point"),
    "where float": ("TypeError", "where", "float32", "boolean"),
    "where of one image": ("ValueError", "where", "(4, 5)", "(2, 4, 5)"),
    "predictions of another size": ("ValueError", "predictions", "(2, 3, 5)", "(2, 4, 5)"),
    "predictions float": ("TypeError", "predictions", "float32", "integers"),
    "loss of one number": ("ValueError", "loss", "got ()", "(2, 4, 5)"),
    "loss of integer logits": ("TypeError", "logits", "int", "floating point"),
    "branches of eps_inf above eps_sup": ("ValueError", "eps_inf=0.8", "eps_sup=0.7", "below"),
    "branches of eps_sup above 1": ("ValueError", "eps_sup", "1.5", "(0, 1]"),
    "boundary of float labels": ("TypeError", "labels", "float32", "integers"),
    "groups of numbers": ("TypeError", "groups", "float32", "boolean"),
    "groups of one image": ("ValueError", "groups", "(4, 5, 3)", "(2, 4, 5)"),
    "groups of integer values": ("TypeError", "values", "int32", "floating point"),
    "norm unknown": ("ValueError", "norm", "'instance'", '"batch"'),
    "norm of FCN8s alone": ("ValueError", "norm", "'none'", '"batch" or "group"'),
    "norm unknown to a layer": ("ValueError", "norm", "'instance'", '"batch"'),
    "output_stride unknown": ("ValueError", "output_stride", "got 4", "8 or 16"),
    "blocks of two stages": ("ValueError", "blocks", "got (3, 4)", "four whole numbers"),
    "decoder of text": ("ValueError", "decoder", "got 'no'", "True or False"),
    "width below 0": ("ValueError", "width", "got -1", "a whole number from 1 on"),
    "width true": ("ValueError", "width", "got True", "a whole number from 1 on"),
    "width of text": ("ValueError", "width", "got '64'", "a whole number from 1 on"),
    "depth of 100": ("ValueError", "depth", "got 100", "from 0 to 16"),
    "dtype unknown": ("ValueError", "dtype", "'float99'", '"float32" or "bfloat16"'),
    "dtype of integers": ("ValueError", "dtype", "'int32'", '"float32" or "bfloat16"'),
    "dropout of 2": ("ValueError", "dropout", "got 2.0", "a fraction from 0 to below 1"),
    "numbers of NumPy": ("ValueError", "width=4 dropout=0.5 remat=True"),
    "dropout nan": ("ValueError", "dropout", "got nan", "a fraction from 0 to below 1"),
    "reading unknown": ("ValueError", "reading", "'mean'", '"dataset", "present", "union" or "all"'),
}


@functools.cache
def child():
    """One process for all cases: the checker that runs in this one would speak up before the library."""
    script = Path(__file__).with_name("message_cases.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("case", MESSAGES)
def test_a_wrong_argument_is_named_with_what_it_got_and_what_it_takes(case):
    kind, message = child()["raised"][case]
    assert kind == MESSAGES[case][0], message
    for words in MESSAGES[case][1:]:
        assert words in message


def test_every_case_of_the_child_has_its_message():
    assert set(child()["raised"]) == set(MESSAGES)


def test_losses_masks_and_metrics_bring_in_no_heavy_package():
    heavy = {"tensorflow", "tensorflow_datasets", "orbax", "grain", "matplotlib", "tyro", "optax", "PIL"}
    heavy |= {"flax", "torch", "beartype", "train", "tests"}
    assert not heavy & set(child()["imported"])
