"""What losses of regions are made of: sums over an image, and maps of prices that these sums set."""

import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Integer

from balanced_jax._labels import at_label, one_hot


class Outcomes(NamedTuple):
    """What becomes of each class in an image, in sums of weight times probability."""

    false: Float[Array, "*batch classes"]
    """Of the class, where it is not the label."""
    missed: Float[Array, "*batch classes"]
    """Of all other classes, where it is the label."""
    true: Float[Array, "*batch classes"]
    """Of the class, where it is the label."""


# Every loss here is a pair: sums over the image, and a map made of prices that these sums set. With autodiff
# XLA keeps some 8 arrays of the size of the logits; by hand, each of the pair is the other's gradient, and
# the probabilities are the only one kept.


@jax.custom_vjp
def outcomes(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    weights: Float[Array, "*batch h w"],
) -> Outcomes:
    """False alarms, misses and true answers of each class."""
    p = _planes(_softmax(logits))
    own, error = _own_and_error(p, labels)
    missed = [jnp.where(labels == k, weights * error, 0) for k in range(len(p))]
    true = [jnp.where(labels == k, weights * own, 0) for k in range(len(p))]
    if len(p) == 2:  # what the one is missed by is a false alarm of the other
        false = missed[::-1]
    else:
        false = [jnp.where(labels == k, 0, weights * plane) for k, plane in enumerate(p)]
    return Outcomes(_sums(false), _sums(missed), _sums(true))


def _outcomes_forward(logits, labels, weights):
    return outcomes(logits, labels, weights), (logits, labels, weights)


def _outcomes_backward(residuals, cotangent):
    logits, labels, weights = residuals
    false, missed, true = cotangent
    own, _ = _own_and_error(_planes(_softmax(logits)), labels)
    # Misses and true answers of a class sum to its weight: for the logits the one is minus the other.
    by_logit = weights[..., None] * _slope(logits, labels, false, missed - true)
    return by_logit, None, cost(logits, labels, false, missed) + own * at_label(true, labels)


outcomes.defvjp(_outcomes_forward, _outcomes_backward)


@jax.custom_vjp
def cost(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    false: Float[Array, "*batch classes"],
    missed: Float[Array, "*batch classes"],
) -> Float[Array, "*batch h w"]:
    """The expected price of a pixel: false[k] + missed[label] for each class k that is not its label."""
    p = _planes(_softmax(logits))
    _, error = _own_and_error(p, labels)
    if len(p) == 2:
        return error * at_label(false[..., ::-1] + missed, labels)
    alarms = (jnp.where(labels == k, 0, false[..., None, None, k] * plane) for k, plane in enumerate(p))
    return sum(alarms, error * at_label(missed, labels))


def _cost_forward(logits, labels, false, missed):
    return cost(logits, labels, false, missed), (logits, labels, false, missed)


def _cost_backward(residuals, cotangent):
    logits, labels, _, _ = residuals
    sums = outcomes(logits, labels, cotangent)
    return cotangent[..., None] * _slope(*residuals), None, sums.false, sums.missed


cost.defvjp(_cost_forward, _cost_backward)


def _slope(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    false: Float[Array, "*batch classes"],
    missed: Float[Array, "*batch classes"],
) -> Float[Array, "*batch h w classes"]:
    """Derivative of each pixel's `cost` with respect to its logits."""
    price = false[..., None, None, :] + at_label(missed, labels)[..., None]
    price = jnp.where(one_hot(labels, logits.shape[-1]), 0, price)
    return _softmax(logits) * (price - cost(logits, labels, false, missed)[..., None])


def _softmax(logits: Float[Array, "*batch h w classes"]) -> Float[Array, "*batch h w classes"]:
    """Softmax with its sums plane by plane, which a CPU makes without keeping the exponentials."""
    planes = _planes(logits)
    top = jax.lax.stop_gradient(functools.reduce(jnp.maximum, planes))
    log_sum = jnp.log(sum(jnp.exp(plane - top) for plane in planes))
    return jnp.exp((logits - top[..., None]) - log_sum[..., None])


def _planes(values: Float[Array, "*batch h w classes"]) -> list[Float[Array, "*batch h w"]]:
    return [values[..., k] for k in range(values.shape[-1])]


def varying_like(
    logits: Float[Array, "*batch h w classes"], weights: Float[Array, "*batch h w"]
) -> Float[Array, "*batch h w"]:
    """The weights, known to `shard_map` to differ between shards where logits do: their gradient will."""
    return weights + jnp.zeros_like(logits[..., 0])


def _own_and_error(
    p: list[Float[Array, "*batch h w"]], labels: Integer[Array, "*batch h w"]
) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """Probability of the label, and that of all others: 1 - p would lose the last of it to rounding."""
    nothing = jnp.zeros_like(p[0])
    own = sum((jnp.where(labels == k, plane, 0) for k, plane in enumerate(p)), nothing)
    return own, sum((jnp.where(labels == k, 0, plane) for k, plane in enumerate(p)), nothing)


def _sums(maps: list[Float[Array, "*batch h w"]]) -> Float[Array, "*batch maps"]:
    """Sums of some maps over the pixels of each image."""
    # A CPU stores what one sum is taken of, but makes one loop of a reduction of several arrays and of what
    # leads up to them; it uses vector instructions where that reduction is short.
    *batch, h, w = maps[0].shape
    few = math.gcd(h * w, 8)
    parts = jax.lax.reduce(
        [values.reshape(*batch, h * w // few, few) for values in maps],
        [jnp.zeros((), values.dtype) for values in maps],
        lambda some, more: [a + b for a, b in zip(some, more, strict=True)],
        dimensions=[len(batch) + 1],
    )
    return jnp.stack([jnp.sum(part, axis=-1) for part in parts], axis=-1)


def pixels(valid: Bool[Array, "*batch h w"], dtype: DTypeLike) -> Float[Array, "*batch 1 1"]:
    """Number of valid pixels of each image: what turns a sum over them into the mean of a map."""
    return jnp.sum(valid, axis=(-2, -1), keepdims=True, dtype=jnp.int32).astype(dtype)


def counted(
    labelled: Bool[Array, "*batch classes"], classes: Literal["present", "all"], dtype: DTypeLike
) -> Float[Array, "*batch classes"]:
    """Part of each class in the mean over the classes that are labelled, or over all."""
    if classes not in ("present", "all"):
        raise ValueError(f'classes must be "present" or "all", got {classes!r}')
    chosen = labelled if classes == "present" else jnp.ones_like(labelled)
    return chosen.astype(dtype) / jnp.maximum(jnp.sum(chosen, axis=-1, keepdims=True, dtype=jnp.int32), 1)
