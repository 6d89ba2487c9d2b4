"""The objective of a run: named terms, each a map of the cost of every pixel, and their checks."""

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from balanced_jax.losses import masked_mean
from balanced_jax.masks import balance_mask, valid_mask
from train.config import Ramp, Term
from train.errors import UserError, suggestion

AUXILIARY = "auxiliary"
"""Name of the term that the auxiliary logits of a network make in training."""

Masks = Mapping[str, Any]
"""Precomputed masks by the names of their terms, [images, height, width] each."""


def term_sums(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> dict[str, jax.Array]:
    """Return the loss of each term, summed over images.

    Args:
        objective: terms by name.
        logits: [images, height, width, classes].
        labels: [images, height, width]; outside the classes void.
        progress: fraction of the run that is done, 0 to 1; may be traced.
        masks: precomputed masks; a missing one is made from the labels.

    Returns:
        A scalar for each term: the sum over images of the mean over the labeled pixels of an image.
    """
    valid = valid_mask(labels, logits.shape[-1])
    costs = _term_costs(objective, logits, labels, progress, masks)
    return {name: jax.vmap(masked_mean)(cost, valid).sum() for name, cost in costs.items()}


def total_cost(objective: Mapping[str, Term], logits, labels, progress) -> jax.Array:
    """Return the cost of each pixel in all terms, [images, height, width]; arguments as `term_sums`."""
    return functools.reduce(operator.add, _term_costs(objective, logits, labels, progress).values())


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
    """Return the product of the two masks of a term; None where it has none."""
    factors = []
    if term.weights is not None:
        factors.append(term.weights(labels, num_classes, **_numbers(term.weights_options, progress)))
    if term.precomputed is not None:
        if precomputed is None:
            precomputed = term.precomputed(labels, num_classes, **term.precomputed_options)
        factors.append(precomputed.astype(jnp.float32))
    return functools.reduce(operator.mul, factors) if factors else None


def term_mask(term: Term, labels, num_classes: int, progress) -> jax.Array | None:
    """Return the weights of a term, times the mask that its loss makes inside; None where it has neither.

    A loss that takes `beta` and `window`, such as `balanced_loss`, makes a `balance_mask` of them.
    """
    weights = _term_weights(term, labels, num_classes, progress)
    beta, window = (_value_of(name, term.loss, term.options) for name in ("beta", "window"))
    if beta is None or window is None:
        return weights
    inside = balance_mask(labels, num_classes, beta=_number(beta, progress), window=window)
    return inside if weights is None else inside * weights


class BranchThresholds(NamedTuple):
    """The errors that divide easy, critical and hard pixels."""

    term: str | None
    """The term that sets the thresholds; None for the paper's."""
    eps_inf: Any
    eps_sup: Any


def branch_thresholds(objective: Mapping[str, Term], progress) -> BranchThresholds:
    """Return the thresholds of the first term that has them, at this point of the run; else the paper's."""
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


def check_objective(objective: Mapping[str, Term]) -> None:
    """Refuse an objective that would fail in the first step.

    Options are bound to the signatures of their functions, and the terms are traced on a tiny example, so
    that the library's own messages about values come before any work.

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
        try:
            shape = _shape_of_costs(term)
        except (TypeError, ValueError) as error:
            raise UserError(f"objective.{name}: {' '.join(str(error).split())}") from error
        if shape != _EXAMPLE_SHAPE:
            raise UserError(
                f"objective.{name}: {_name(term.loss)} must return a map [images, height, width], that is "
                f"{_EXAMPLE_SHAPE} here, got {shape}"
            )


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


_EXAMPLE_SHAPE = (1, 16, 16)
"""Images, height and width of the labels that an objective is traced on."""


def _shape_of_costs(term: Term) -> tuple[int, ...]:
    """Return the shape of a term's map; only the progress is traced, so that plain numbers are checked."""
    logits, labels = jnp.zeros((*_EXAMPLE_SHAPE, 2)), jnp.zeros(_EXAMPLE_SHAPE, jnp.int32)
    costs = jax.eval_shape(lambda progress: _term_costs({"": term}, logits, labels, progress), 0.0)
    return costs[""].shape


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
