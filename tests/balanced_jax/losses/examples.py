"""Logits, labels and weights for the battery of losses, and what the float64 formulas make of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tests.balanced_jax import formulas

SHAPE = (2, 5, 6)


def example(row, num_classes=3, shape=SHAPE, scale=3.0):
    """Logits, labels with void pixels, weights with NaN at these, and a cotangent."""
    rng = np.random.default_rng(num_classes)
    logits = (scale * rng.normal(size=(*shape, num_classes))).astype(np.float32)
    labels = row.labels(rng, shape, num_classes)
    weights = rng.uniform(0, 2, shape).astype(np.float32)
    weights[..., 0, 0] = 0
    void = ~formulas.valid(labels, max(num_classes, 2)).reshape(*shape, -1).any(-1)
    return logits, labels, np.where(void, np.nan, weights), rng.normal(size=shape).astype(np.float32)


def without(labels, void):
    """The labels with void pixels where the map `void` says so."""
    return np.where(void.reshape(*void.shape, *(1,) * (labels.ndim - void.ndim)), 255, labels)


def value_and_vjp(loss, logits, cotangent):
    """The map, and the gradient at the logits for a cotangent of the map."""
    value, back = jax.vjp(loss, jnp.asarray(logits))
    return value, back(jnp.asarray(cotangent, value.dtype))[0]


def expected(row, logits, labels, weights, cotangent, **options):
    """Map and gradient of a batch by the formula."""
    values, gradients = [], []
    for i, image in enumerate(logits.astype(np.float64)):
        weight = None if weights is None else weights[i].astype(np.float64)
        formula = functools.partial(row.formula, labels=labels[i], weights=weight, **options)
        values.append(formula(image))
        gradients.append(formulas.gradient(formula, image, cotangent[i].astype(np.float64)))
    return np.stack(values), np.stack(gradients)
