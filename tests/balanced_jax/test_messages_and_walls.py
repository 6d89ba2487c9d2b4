"""What a wrong argument is told, and who may import whom."""

import ast
import functools
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import balanced_jax
from balanced_jax import diagnostics, losses, masks, metrics

ROOT = Path(balanced_jax.__file__).parents[1]
LOSSES = [name for name in losses.__all__ if name not in ("masked_mean", "truncated_cross_entropy")]

SIGMOID = [name for name in LOSSES if name.startswith("sigmoid")]
SOFTMAX = [name for name in LOSSES if name not in SIGMOID]
SHAPES = {f: "(2, 4, 5, 3)" if f in SIGMOID else "(2, 4, 5)" for f in LOSSES}  # of the labels that each takes

# What it is, then words of the message: the argument, what it got, what it takes.
MESSAGES = {
    **{f"{f}: integer logits": ("TypeError", "logits", "int", "floating point") for f in LOSSES},
    **{f"{f}: float labels": ("TypeError", "labels", "float32", "integers") for f in LOSSES + masks.__all__},
    **{f"{f}: boolean labels": ("TypeError", "labels", "bool", "integers") for f in LOSSES},
    **{f"{f}: one class": ("ValueError", "logits", "(2, 4, 5, 1)", "at least 2") for f in SOFTMAX},
    **{f"{f}: no class in logits": ("ValueError", "logits", "(2, 4, 5, 0)", "at least 1") for f in SIGMOID},
    **{f"{f}: class indices": ("ValueError", "labels", "(2, 4, 5)", "(2, 4, 5, 3)") for f in SIGMOID},
    **{f"{f}: logits of a row": ("ValueError", "logits", "(5, 3)", "[..., H, W, C]") for f in LOSSES},
    **{f"{f}: other labels": ("ValueError", "labels", "(2, 3, 5", SHAPES[f]) for f in LOSSES},
    **{f"{f}: under jit": ("ValueError", "labels", "(2, 3, 5", SHAPES[f]) for f in LOSSES},
    **{f"{f}: other weights": ("ValueError", "weights", "(5,)", "(2, 4, 5)") for f in LOSSES},
    **{f"{f}: labels of a row": ("ValueError", "labels", "(5,)", "[..., H, W]") for f in masks.__all__},
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
    "gamma below 0": ("ValueError", "gamma", "-1", "at least 0"),
    "alpha of two": ("ValueError", "alpha", "(2,)", "(3,)"),
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
    "inverse weights under jit": ("TypeError", "labels", "JitTracer", "concrete"),
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
    "window traced": ("TypeError", "window", "JitTracer", "an integer"),
    "minimum above 1": ("ValueError", "minimum", "2.0", "[0, 1]"),
    "method unknown": ("ValueError", "method", "'fft'", '"conv", "packed" or None'),
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
    "output_stride unknown": ("ValueError", "output_stride", "got 4", "8 or 16"),
    "reading unknown": ("ValueError", "reading", "'mean'", '"dataset", "present", "union" or "all"'),
}


@functools.cache
def child():
    """One process for all cases: the checker that runs in this one would speak up before the library."""
    script = Path(__file__).with_name("child.py")
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


# Who may import whom inside the library; private modules at its top serve all but the networks.
ALLOWED = {
    "losses": ("balanced_jax._", "balanced_jax.losses", "balanced_jax.masks"),
    "masks": ("balanced_jax._", "balanced_jax.masks"),
    "metrics": ("balanced_jax._", "balanced_jax.masks.valid"),
    "diagnostics": (
        "balanced_jax._",
        "balanced_jax.diagnostics",
        "balanced_jax.losses",
        "balanced_jax.masks",
    ),
    "models": ("balanced_jax.models",),
    "__init__": tuple(f"balanced_jax.{name}" for name in balanced_jax.__all__),
}
RUNTIME = {"balanced_jax", "flax", "jax", "jaxtyping", "numpy", *sys.stdlib_module_names}
INSIDE_A_FUNCTION = {"safetensors", "scipy"}


def imports(path):
    """Modules that a file imports, by their full names, and whether it does so at its top."""
    tree = ast.parse(path.read_text())
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [start, node.module]))
            # `from balanced_jax import x` imports the module x.
            names = (
                [f"{module}.{alias.name}" for alias in node.names] if module == "balanced_jax" else [module]
            )
        else:
            continue
        for name in names:
            yield name, node in tree.body


LIBRARY = sorted((ROOT / "balanced_jax").rglob("*.py"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    part = path.relative_to(ROOT / "balanced_jax").parts[0].removesuffix(".py")
    allowed = ("balanced_jax._",) if part.startswith("_") and part != "__init__" else ALLOWED[part]
    if path.name in ("_arguments.py", "_labels.py"):
        allowed = ()
    for name, at_top in imports(path):
        root = name.partition(".")[0]
        assert root in RUNTIME or (root in INSIDE_A_FUNCTION and not at_top), name
        assert root != "balanced_jax" or name.startswith(allowed), name


PUBLIC = [
    *(getattr(losses, name) for name in losses.__all__),
    *(getattr(masks, name) for name in masks.__all__),
    *(metrics.confusion_counts, metrics.iou),
    *(diagnostics.diagnose, diagnostics.loss_and_gradient, diagnostics.branches),
    *(diagnostics.boundary_and_inside, diagnostics.group_sums),
]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_every_public_function_is_documented(function):
    documentation = inspect.getdoc(function) or ""
    for section in ("Args:", "Returns:", "Raises:", ">>> "):
        assert section in documentation
    arguments = documentation.partition("Args:")[2].partition("Returns:")[0]
    for name in inspect.signature(function).parameters:
        assert f"\n    {name}: " in arguments


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_logits_labels_and_weights_first(name):
    parameters = list(inspect.signature(getattr(losses, name)).parameters.values())
    assert [p.name for p in parameters[:3]] == ["logits", "labels", "weights"]
    assert {p.kind for p in parameters[2:]} == {inspect.Parameter.KEYWORD_ONLY}
    assert inspect.Parameter.empty not in {p.default for p in parameters[2:]}
