"""Sums and cost maps of region losses, with gradients derived by hand.

A region loss is a function of soft confusion sums over the image: with softmax probabilities p, one-hot
labels y and weights w, the false positives F = S(w p (1 - y)), the false negatives M = S(w (1 - p) y) and the
true positives T = S(w p y) of each class. The cost map of such a loss is the expected cost of each pixel,

    cost[i] = sum_k a[k] p[i, k] (1 - y[i, k]) + b[k] (1 - p[i, k]) y[i, k],

times the weight, where `a` charges false positives, `b` charges false negatives, and both are functions of
the sums. So there are two operations, `soft_confusion_sums` and `expected_cost`, and each is the transpose of
the other, apart from the softmax:

- Weighted by w and summed over pixels, the expected cost is a F + b M, whose derivatives with respect to a
  and b are F and M. The vector-Jacobian product (VJP) of `expected_cost` in the costs is thus
  `soft_confusion_sums` with the cotangent in the place of the weights.
- The VJP of `soft_confusion_sums` in the weights is the `expected_cost` that takes the cotangents of F and M
  for a and b, and the VJP in the logits is the derivative of that cost, times w. As T = S(w y) - M, the
  cotangent of T counts as minus that of M.

By automatic differentiation XLA stores some 8 arrays of the size of the logits; here the probabilities are
the only one.
"""

import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Integer

from balanced_jax._labels import one_hot, take_by_label


class SoftConfusion(NamedTuple):
    """Confusion sums of each class in each image, of weight times probability."""

    false_positives: Float[Array, "*batch classes"]
    false_negatives: Float[Array, "*batch classes"]
    true_positives: Float[Array, "*batch classes"]


@jax.custom_vjp
def soft_confusion_sums(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    weights: Float[Array, "*batch h w"],
) -> SoftConfusion:
    """Return false positives, false negatives and true positives of each class, summed over the image."""
    p = _class_planes(_softmax(logits))
    p_label, error = _label_probability_and_error(p, labels)
    false_negatives = [jnp.where(labels == k, weights * error, 0) for k in range(len(p))]
    true_positives = [jnp.where(labels == k, weights * p_label, 0) for k in range(len(p))]
    if len(p) == 2:  # a false negative of one class is a false positive of the other
        false_positives = false_negatives[::-1]
    else:
        false_positives = [jnp.where(labels == k, 0, weights * plane) for k, plane in enumerate(p)]
    return SoftConfusion(
        _image_sums(false_positives), _image_sums(false_negatives), _image_sums(true_positives)
    )


def _soft_confusion_sums_forward(logits, labels, weights):
    return soft_confusion_sums(logits, labels, weights), (logits, labels, weights)


def _soft_confusion_sums_backward(residuals, cotangent):
    logits, labels, weights = residuals
    fp, fn, tp = cotangent
    p_label, _ = _label_probability_and_error(_class_planes(_softmax(logits)), labels)
    by_logits = weights[..., None] * _expected_cost_gradient(logits, labels, fp, fn - tp)
    return by_logits, None, expected_cost(logits, labels, fp, fn) + p_label * take_by_label(tp, labels)


soft_confusion_sums.defvjp(_soft_confusion_sums_forward, _soft_confusion_sums_backward)


@jax.custom_vjp
def expected_cost(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    fp_costs: Float[Array, "*batch classes"],
    fn_costs: Float[Array, "*batch classes"],
) -> Float[Array, "*batch h w"]:
    """Return the expected cost of each pixel for costs of false positives and false negatives by class."""
    p = _class_planes(_softmax(logits))
    _, error = _label_probability_and_error(p, labels)
    if len(p) == 2:
        return error * take_by_label(fp_costs[..., ::-1] + fn_costs, labels)
    terms = (jnp.where(labels == k, 0, fp_costs[..., None, None, k] * plane) for k, plane in enumerate(p))
    return sum(terms, error * take_by_label(fn_costs, labels))


def _expected_cost_forward(logits, labels, fp_costs, fn_costs):
    return expected_cost(logits, labels, fp_costs, fn_costs), (logits, labels, fp_costs, fn_costs)


def _expected_cost_backward(residuals, cotangent):
    logits, labels, _, _ = residuals
    sums = soft_confusion_sums(logits, labels, cotangent)
    by_logits = cotangent[..., None] * _expected_cost_gradient(*residuals)
    return by_logits, None, sums.false_positives, sums.false_negatives


expected_cost.defvjp(_expected_cost_forward, _expected_cost_backward)


def _expected_cost_gradient(
    logits: Float[Array, "*batch h w classes"],
    labels: Integer[Array, "*batch h w"],
    fp_costs: Float[Array, "*batch classes"],
    fn_costs: Float[Array, "*batch classes"],
) -> Float[Array, "*batch h w classes"]:
    """Return the derivative of each pixel's `expected_cost` with respect to its logits."""
    costs = fp_costs[..., None, None, :] + take_by_label(fn_costs, labels)[..., None]
    costs = jnp.where(one_hot(labels, logits.shape[-1]), 0, costs)
    return _softmax(logits) * (costs - expected_cost(logits, labels, fp_costs, fn_costs)[..., None])


def vary_like(
    weights: Float[Array, "*batch h w"], logits: Float[Array, "*batch h w classes"]
) -> Float[Array, "*batch h w"]:
    """Mark weights as varying over the mesh axes of the logits, as shard_map requires for their gradient."""
    return weights + jnp.zeros_like(logits[..., 0])


def count_pixels(valid: Bool[Array, "*batch h w"], dtype: DTypeLike) -> Float[Array, "*batch 1 1"]:
    """Return the number of valid pixels of each image, the factor between the sum of a map and its mean."""
    return jnp.sum(valid, axis=(-2, -1), keepdims=True, dtype=jnp.int32).astype(dtype)


def class_mean_weights(
    labeled: Bool[Array, "*batch classes"], classes: Literal["present", "all"], dtype: DTypeLike
) -> Float[Array, "*batch classes"]:
    """Return the weight of each class in the mean over the labeled classes, or over all."""
    if classes not in ("present", "all"):
        raise ValueError(f'classes must be "present" or "all", got {classes!r}')
    averaged = labeled if classes == "present" else jnp.ones_like(labeled)
    return averaged.astype(dtype) / jnp.maximum(jnp.sum(averaged, axis=-1, keepdims=True, dtype=jnp.int32), 1)


def _softmax(logits: Float[Array, "*batch h w classes"]) -> Float[Array, "*batch h w classes"]:
    """Return softmax; XLA:CPU fuses its sum of class planes into a loop that stores no exponentials."""
    planes = _class_planes(logits)
    top = jax.lax.stop_gradient(functools.reduce(jnp.maximum, planes))
    log_sum = jnp.log(sum(jnp.exp(plane - top) for plane in planes))
    return jnp.exp((logits - top[..., None]) - log_sum[..., None])


def _class_planes(values: Float[Array, "*batch h w classes"]) -> list[Float[Array, "*batch h w"]]:
    return [values[..., k] for k in range(values.shape[-1])]


def _label_probability_and_error(
    p: list[Float[Array, "*batch h w"]], labels: Integer[Array, "*batch h w"]
) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """Return the probability of the label and the sum of the others, which unlike 1 - p does not cancel."""
    zeros = jnp.zeros_like(p[0])
    p_label = sum((jnp.where(labels == k, plane, 0) for k, plane in enumerate(p)), zeros)
    return p_label, sum((jnp.where(labels == k, 0, plane) for k, plane in enumerate(p)), zeros)


def _image_sums(maps: list[Float[Array, "*batch h w"]]) -> Float[Array, "*batch maps"]:
    """Return sums of several maps over the pixels of each image."""
    # XLA:CPU stores the operand of a single-array reduction. A reduction of several arrays is fused with the
    # code that computes them into one loop, with vector instructions if the reduced axis is short.
    *batch, h, w = maps[0].shape
    lanes = math.gcd(h * w, 8)
    partial_sums = jax.lax.reduce(
        [values.reshape(*batch, h * w // lanes, lanes) for values in maps],
        [jnp.zeros((), values.dtype) for values in maps],
        lambda left, right: [a + b for a, b in zip(left, right, strict=True)],
        dimensions=[len(batch) + 1],
    )
    return jnp.stack([jnp.sum(sums, axis=-1) for sums in partial_sums], axis=-1)
