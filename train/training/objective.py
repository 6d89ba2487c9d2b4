"""The objective of a run: named terms, each a map of the cost of every pixel, and their checks."""

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from balanced_jax.losses import masked_mean
from balanced_jax.masks import balance_mask, valid_mask
from train.config import Ramp, Term
from train.errors import UserError, suggestion
from train.training.class_ratios import replace_ratios

AUXILIARY = "auxiliary"
"""Name of the term that the auxiliary logits of a network make in training."""

Masks = Mapping[str, Any]
"""Precomputed masks by the names of the terms that have one, [images, height, width] each."""


def term_sums(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> dict[str, jax.Array]:
    """Return the loss of each term, summed over images.

    Args:
        objective: terms by name.
        logits: [images, height, width, classes].
        labels: [images, height, width]; outside the classes void.
        progress: fraction of the run that is done, 0 to 1; may be traced.
        masks: precomputed masks; None where no term has one.

    Returns:
        A scalar for each term: the sum over images of the mean over the labeled pixels of an image.
    """
    valid = valid_mask(labels, logits.shape[-1])
    costs = _term_costs(objective, logits, labels, progress, masks)
    return {name: jax.vmap(masked_mean)(cost, valid).sum() for name, cost in costs.items()}


def total_cost(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> jax.Array:
    """Return the cost of each pixel in all terms, [images, height, width]; arguments as `term_sums`."""
    return functools.reduce(operator.add, _term_costs(objective, logits, labels, progress, masks).values())


def _term_costs(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> dict[str, jax.Array]:
    """Return the cost of each pixel in each term, scale included, [images, height, width]."""
    masks = masks or {}

    def cost(name: str, term: Term) -> jax.Array:
        weights = _term_weights(term, labels, logits.shape[-1], progress, masks.get(name))
        costs = term.loss(logits, labels, weights=weights, **_numbers(term.options, progress))
        return _number(term.scale, progress) * costs

    return {name: cost(name, term) for name, term in objective.items()}


def _term_weights(term: Term, labels, num_classes: int, progress, precomputed=None) -> jax.Array | None:
    """Return the product of the two masks of a term in float32; None where it has none."""
    factors = []
    if term.weights is not None:
        factors.append(term.weights(labels, num_classes, **_numbers(term.weights_options, progress)))
    if term.precomputed is not None:
        factors.append(precomputed)
    # Boolean masks too are weights.
    return functools.reduce(operator.mul, [x.astype(jnp.float32) for x in factors]) if factors else None


def term_mask(term: Term, labels, num_classes: int, progress, precomputed=None) -> jax.Array | None:
    """Return the weights of a term, times the mask that its loss makes inside; None where it has neither.

    A loss that takes `beta` and `window`, such as `balanced_loss`, makes a `balance_mask` of them.
    """
    weights = _term_weights(term, labels, num_classes, progress, precomputed)
    beta, window = (_value_of(name, term.loss, term.options) for name in ("beta", "window"))
    if beta is None or window is None:
        return weights
    inside = balance_mask(labels, num_classes, beta=_number(beta, progress), window=window)
    return inside if weights is None else inside * weights


class BranchThresholds(NamedTuple):
    """The errors that divide easy, critical and hard pixels."""

    term: str | None
    """The term that sets the thresholds; None for .3 and .7, the paper's thresholds."""
    eps_inf: Any
    eps_sup: Any


def branch_thresholds(objective: Mapping[str, Term], progress) -> BranchThresholds:
    """Return the thresholds of the first term that has them, at this point of the run; else .3 and .7."""
    for name, term in objective.items():
        eps = [find_option(term, option) for option in ("eps_inf", "eps_sup")]
        if None not in eps:
            return BranchThresholds(name, *(_number(value, progress) for value in eps))
    return BranchThresholds(None, 0.3, 0.7)


def find_option(term: Term, name: str) -> Any:
    """Return an option of a term's loss or masks, given or by default; None where none has it."""
    for function, options in (
        (term.loss, term.options),
        (term.weights, term.weights_options),
        (term.precomputed, term.precomputed_options),
    ):
        value = None if function is None else _value_of(name, function, options)
        if value is not None:
            return value
    return None


def check_objective(objective: Mapping[str, Term], num_classes: int | None = None) -> None:
    """Refuse an objective that would fail in the first step.

    Options are bound to the signatures of their functions, and the terms are traced on a tiny example, so
    that the library's own messages about values come before any work.

    Args:
        objective: terms by name.
        num_classes: of the data; None before the data is known, when terms with a list among their options,
            which may have a number for each class, are not traced.

    Raises:
        UserError: names the term, the option and, for a misspelled option, the nearest name.
    """
    if not objective:
        raise UserError("objective: has no terms; give it at least one Term")
    if AUXILIARY in objective:
        raise UserError(
            f"objective.{AUXILIARY}: this is the name of the term of a network's auxiliary logits; take "
            "another name"
        )
    for name, term in objective.items():
        _bind(f"objective.{name}.options", term.loss, (None, None), {"weights": None}, term.options)
        if term.weights is not None:
            _bind(f"objective.{name}.weights_options", term.weights, (None, 2), {}, term.weights_options)
        elif term.weights_options:
            raise UserError(f"objective.{name}.weights_options: given, but the term has no weights function")
        _check_precomputed(name, term)
        if num_classes is not None:
            _check_values(name, term, num_classes)
        elif not _has_list(term):
            _check_values(name, replace_ratios(term, lambda _: (1.0, 1.0)), 2)


def _check_precomputed(name: str, term: Term) -> None:
    """Refuse options that the precomputed mask of a term does not take, or that would change over the run."""
    where = f"objective.{name}.precomputed_options"
    if term.precomputed is None:
        if term.precomputed_options:
            raise UserError(f"{where}: given, but the term has no precomputed mask")
        return
    _bind(where, term.precomputed, (None, 2), {}, term.precomputed_options)
    for option, value in term.precomputed_options.items():
        if isinstance(value, Ramp):
            raise UserError(
                f"{where}: {option} is a Ramp, but a precomputed mask is made once; use weights for it"
            )


def _has_list(term: Term) -> bool:
    options = (*term.options.values(), *term.weights_options.values(), *term.precomputed_options.values())
    return any(isinstance(value, list | tuple) for value in options)


_EXAMPLE_SHAPE = (1, 16, 16)
"""Images, height and width of the labels that an objective is traced on."""


def _check_values(name: str, term: Term, num_classes: int) -> None:
    """Refuse a term whose loss or masks raise an error on a tiny example, or do not return maps."""
    at_start = {name: x.start if isinstance(x, Ramp) else x for name, x in term.weights_options.items()}
    try:
        if term.weights is not None and runs_on_host(term.weights, num_classes, at_start):
            raise UserError(
                f"objective.{name}.weights: {_name(term.weights)} runs on the host and cannot be compiled "
                "into a step; give it as precomputed, which is made once for each image"
            )
        if term.precomputed is not None:
            runs_on_host(term.precomputed, num_classes, term.precomputed_options)
        shape = _shape_of_costs(term, num_classes)
    except (TypeError, ValueError) as error:
        raise UserError(f"objective.{name}: {' '.join(str(error).split())}") from error
    if shape != _EXAMPLE_SHAPE:
        raise UserError(
            f"objective.{name}: {_name(term.loss)} must return a map [images, height, width], that is "
            f"{_EXAMPLE_SHAPE} here, got {shape}"
        )


def runs_on_host(mask: Callable, num_classes: int, options: Mapping[str, Any]) -> bool:
    """Whether a mask takes NumPy labels alone: JAX cannot trace it, so it cannot be compiled.

    Args:
        mask: of the labels [height, width] of one image.
        num_classes: of the labels.
        options: keyword arguments of the mask.

    Raises:
        ValueError: its result has not the shape of the labels.
        Exception: of the mask, where it takes no labels of either kind.
    """
    labels = np.zeros(_EXAMPLE_SHAPE[1:], np.uint8)

    def make(labels: Any) -> Any:
        return mask(labels, num_classes, **options)

    try:
        weights, on_host = jax.eval_shape(make, labels), False
    except Exception:  # NumPy, SciPy and others raise errors of many kinds at a tracer
        weights, on_host = make(labels), True
    if np.shape(weights) != labels.shape:
        raise ValueError(
            f"{_name(mask)} must return weights of the shape of the labels, {labels.shape} here, got "
            f"{np.shape(weights)}"
        )
    return on_host


def _shape_of_costs(term: Term, num_classes: int) -> tuple[int, ...]:
    """Return the shape of a term's map; plain numbers are not traced, so that they are checked."""
    logits = jax.ShapeDtypeStruct((*_EXAMPLE_SHAPE, num_classes), jnp.float32)
    labels = jax.ShapeDtypeStruct(_EXAMPLE_SHAPE, jnp.int32)
    masks = {"": jax.ShapeDtypeStruct(_EXAMPLE_SHAPE, jnp.float32)}
    return jax.eval_shape(functools.partial(_term_costs, {"": term}), logits, labels, 0.0, masks)[""].shape


def _bind(where: str, function: Callable, positional: tuple, fixed: dict, options: dict) -> None:
    parameters = inspect.signature(function).parameters
    names = [name for name in list(parameters)[len(positional) :] if name not in fixed]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in options:
        if option not in names and not open_ended:
            hint = suggestion(option, names, "it takes")
            raise UserError(f"{where}: {_name(function)} has no option {option!r}; {hint}")
    try:
        inspect.signature(function).bind(*positional, **fixed, **options)
    except TypeError as error:
        raise UserError(f"{where}: {_name(function)}: {error}") from error


def _value_of(name: str, function: Callable, options: Mapping[str, Any]) -> Any:
    """Return an option of a function, given or by default; None where the function has no such option."""
    parameter = inspect.signature(function).parameters.get(name)
    return None if parameter is None else options.get(name, parameter.default)


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _number(value: Any, progress) -> Any:
    return value.number(progress) if isinstance(value, Ramp) else value


def _numbers(options: Mapping[str, Any], progress) -> dict[str, Any]:
    return {name: _number(value, progress) for name, value in options.items()}
