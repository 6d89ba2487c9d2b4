"""The objective of a run: named terms, each a map of what every pixel costs, and their checks."""

import difflib
import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from balanced_jax.losses import balanced_loss, masked_mean
from balanced_jax.masks import balance_mask, valid_mask
from train.config import Ramp, Term
from train.errors import UserError

AUXILIARY = "auxiliary"
"""Name of the term that a network's auxiliary scores make in training."""


Masks = Mapping[str, Any]
"""Stored masks by the names of their terms, [images, height, width] each."""


def term_sums(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> dict[str, jax.Array]:
    """Each term's loss, summed over images.

    Args:
        objective: terms by name.
        logits: [images, height, width, classes].
        labels: [images, height, width]; outside the classes void.
        progress: share of the run that is done, 0 to 1; may be traced.
        masks: what is stored; made from the labels where nothing is.

    Returns:
        A scalar for each term: the sum over images of the mean over an image's labelled pixels.
    """
    valid = valid_mask(labels, logits.shape[-1])
    costs = term_costs(objective, logits, labels, progress, masks)
    return {name: jax.vmap(masked_mean)(cost, valid).sum() for name, cost in costs.items()}


def term_costs(
    objective: Mapping[str, Term], logits, labels, progress, masks: Masks | None = None
) -> dict[str, jax.Array]:
    """What each pixel costs in each term, scale included: [images, height, width]; arguments as above."""
    masks = masks or {}

    def cost(name: str, term: Term) -> jax.Array:
        weights = term_weights(term, labels, logits.shape[-1], progress, masks.get(name))
        costs = term.loss(logits, labels, weights=weights, **_numbers(term.options, progress))
        return _number(term.scale, progress) * costs

    return {name: cost(name, term) for name, term in objective.items()}


def total_cost(objective: Mapping[str, Term], logits, labels, progress) -> jax.Array:
    """What each pixel costs in all terms together."""
    return functools.reduce(operator.add, term_costs(objective, logits, labels, progress).values())


def term_weights(term: Term, labels, num_classes: int, progress, stored=None) -> jax.Array | None:
    """What each pixel counts in a term, by its two masks; None where it has none.

    Args:
        term, labels, num_classes, progress: as above.
        stored: the term's stored mask; made from the labels where it is not given.
    """
    factors = []
    if term.weights is not None:
        factors.append(term.weights(labels, num_classes, **_numbers(term.weights_options, progress)))
    if term.stored is not None:
        made = stored if stored is not None else term.stored(labels, num_classes, **term.stored_options)
        factors.append(made.astype(jnp.float32))
    return functools.reduce(operator.mul, factors) if factors else None


def term_mask(term: Term, labels, num_classes: int, progress) -> jax.Array | None:
    """The same times the mask that `balanced_loss` makes itself; None where there is neither."""
    weights = term_weights(term, labels, num_classes, progress)
    if term.loss is not balanced_loss:
        return weights
    beta = _number(find_option(term, "beta"), progress)
    own = balance_mask(labels, num_classes, beta=beta, window=find_option(term, "window"))
    return own if weights is None else own * weights


def check_objective(objective: Mapping[str, Term]) -> None:
    """Refuses an objective that would fail in the first step.

    Options are bound to their functions' signatures, and the whole is traced on a tiny example, so that the
    library's own messages about values come before any work.

    Raises:
        UserError: names the term, the option and, for a misspelt one, the nearest name.
    """
    if not objective:
        raise UserError("objective: has no terms; give it at least one Term")
    if AUXILIARY in objective:
        raise UserError(
            f"objective.{AUXILIARY}: this is what the term of a network's auxiliary scores is called; take "
            "another name"
        )
    for name, term in objective.items():
        _bind(f"objective.{name}.options", term.loss, (None, None), {"weights": None}, term.options)
        if term.weights is not None:
            _bind(f"objective.{name}.weights_options", term.weights, (None, 2), {}, term.weights_options)
        elif term.weights_options:
            raise UserError(f"objective.{name}.weights_options: given, but the term has no weights function")
        check_stored(name, term)
        try:
            shape = _shape_of_costs(term)
        except (TypeError, ValueError) as error:
            raise UserError(f"objective.{name}: {' '.join(str(error).split())}") from error
        if shape != _EXAMPLE:
            raise UserError(
                f"objective.{name}: {_name(term.loss)} must return a map [images, height, width], that is "
                f"{_EXAMPLE} here, got {shape}"
            )


def check_stored(name: str, term: Term) -> None:
    """Refuses options that a term's stored mask does not take, or that would move while it is stored.

    Raises:
        UserError: names the term and the option.
    """
    where = f"objective.{name}.stored_options"
    if term.stored is None:
        if term.stored_options:
            raise UserError(f"{where}: given, but the term has no stored mask")
        return
    _bind(where, term.stored, (None, 2), {}, term.stored_options)
    for option, value in term.stored_options.items():
        if isinstance(value, Ramp):
            raise UserError(
                f"{where}: {option} is a Ramp, but a stored mask is made once; use weights for it"
            )


def find_option(term: Term, name: str) -> Any:
    """The value of an option of a term's loss or masks, given or by default; None where none has it."""
    for function, options in (
        (term.loss, term.options),
        (term.weights, term.weights_options),
        (term.stored, term.stored_options),
    ):
        if function is not None and name in inspect.signature(function).parameters:
            return options.get(name, inspect.signature(function).parameters[name].default)
    return None


class Thresholds(NamedTuple):
    """Where easy pixels end and hard ones begin."""

    term: str | None
    """The term they are taken from; None for the default."""
    eps_inf: Any
    eps_sup: Any


def thresholds(objective: Mapping[str, Term], progress) -> Thresholds:
    """The thresholds of the first term that has them, at this point of the run; else the paper's."""
    for name, term in objective.items():
        eps = [find_option(term, option) for option in ("eps_inf", "eps_sup")]
        if None not in eps:
            return Thresholds(name, *(_number(value, progress) for value in eps))
    return Thresholds(None, 0.3, 0.7)


_EXAMPLE = (1, 16, 16)
"""Images, height and width of the labels that an objective is tried on."""


def _shape_of_costs(term: Term) -> tuple[int, ...]:
    """Shape of what a term returns; only the progress is abstract, so that plain numbers are checked."""
    logits, labels = jnp.zeros((*_EXAMPLE, 2)), jnp.zeros(_EXAMPLE, jnp.int32)
    costs = jax.eval_shape(lambda progress: term_costs({"": term}, logits, labels, progress), 0.0)
    return costs[""].shape


def _bind(where: str, function: Callable, positional: tuple, fixed: dict, options: dict) -> None:
    parameters = inspect.signature(function).parameters
    takes = [name for name in list(parameters)[len(positional) :] if name not in fixed]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in options:
        if option not in takes and not open_ended:
            near = difflib.get_close_matches(option, takes, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(takes) or 'none'}"
            raise UserError(f"{where}: {_name(function)} has no option {option!r}; {hint}")
    try:
        inspect.signature(function).bind(*positional, **fixed, **options)
    except TypeError as error:
        raise UserError(f"{where}: {_name(function)}: {error}") from error


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _number(value: Any, progress) -> Any:
    return value.at(progress) if isinstance(value, Ramp) else value


def _numbers(options: Mapping[str, Any], progress) -> dict[str, Any]:
    return {name: _number(value, progress) for name, value in options.items()}
