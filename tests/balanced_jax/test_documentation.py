"""The rules of signatures and docstrings."""

import inspect
import re
import sys

import pytest

from balanced_jax import diagnostics, logits, losses, masks, metrics, targets

LOSSES = [name for name in losses.__all__ if name not in ("masked_mean", "truncated_cross_entropy")]

PUBLIC = [
    *(getattr(losses, name) for name in losses.__all__),
    *(getattr(masks, name) for name in masks.__all__),
    *(logits.adjust_logits, logits.penalize_neighbors, targets.label_shares),
    *(metrics.confusion_counts, metrics.iou),
    *(diagnostics.diagnose, diagnostics.loss_and_gradient, diagnostics.branches),
    *(diagnostics.boundary_and_inside, diagnostics.group_sums),
]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_every_public_function_documents_its_arguments_and_has_an_example(function):
    documentation = inspect.getdoc(function) or ""
    assert ">>> " in documentation
    arguments = documentation.partition("Args:\n")[2].partition("\n\n")[0]
    named = re.findall(r"^    ([\w, ]+): ", arguments, re.MULTILINE)
    names = [name for line in named for name in line.split(", ")]
    assert sorted(names) == sorted(inspect.signature(function).parameters)


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_what_is_documented_once_stands_where_the_docstring_says(function):
    """An argument that is only referred to, `see `module``, has its entry in that module's docstring."""
    for names, module in re.findall(
        r"^ +([\w, ]+): see `(balanced_jax\.\w+)`", function.__doc__, re.MULTILINE
    ):
        shared = inspect.getdoc(sys.modules[module]) or ""
        for section in ("Args:\n", "Raises:\n"):
            assert section in shared
        documented = re.findall(r"^    ([\w, ]+): ", shared, re.MULTILINE)
        documented = {name for line in documented for name in line.split(", ")}
        assert set(names.split(", ")) <= documented


WITHOUT_SOURCE = ("masked_mean", "softmax_cross_entropy", "softmax_cross_entropy_with_probabilities")


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name not in WITHOUT_SOURCE])
def test_every_loss_names_its_source(name):
    assert "References:" in (getattr(losses, name).__doc__ or "")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_logits_labels_and_weights_first(name):
    parameters = list(inspect.signature(getattr(losses, name)).parameters.values())
    truth = "targets" if name.endswith("_with_probabilities") else "labels"
    assert [p.name for p in parameters[:3]] == ["logits", truth, "weights"]
    assert {p.kind for p in parameters[2:]} == {inspect.Parameter.KEYWORD_ONLY}
    assert inspect.Parameter.empty not in {p.default for p in parameters[2:]}
