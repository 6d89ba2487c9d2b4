"""The textbook formulations that the library is compared with: softmax, one-hot labels, sums, autodiff.

Losses take logits [..., H, W, C] and labels [..., H, W], return a map or the loss itself, and have the
numbers of the library's defaults. Void pixels count for nothing, but no other care is taken: probabilities
round to 0 and 1, logarithms overflow.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from balanced_jax.metrics import ConfusionCounts
from train.config import Augmentation


def one_hot(labels: jax.Array, classes: int) -> jax.Array:
    return labels[..., None] == jnp.arange(classes)


def softmax_cross_entropy(logits: jax.Array, labels: jax.Array, weights: Any = 1) -> jax.Array:
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -weights * jnp.sum(one_hot(labels, logits.shape[-1]) * log_p, axis=-1)


def softmax_focal_loss(logits: jax.Array, labels: jax.Array, weights: Any = 1) -> jax.Array:
    cost = softmax_cross_entropy(logits, labels)
    return weights * (1 - jnp.exp(-cost)) ** 2 * cost


def generalized_cross_entropy(logits: jax.Array, labels: jax.Array, weights: Any = 1) -> jax.Array:
    return weights * (1 - jnp.exp(-0.7 * softmax_cross_entropy(logits, labels))) / 0.7


def softmax_cross_entropy_with_probabilities(logits: jax.Array, targets: jax.Array) -> jax.Array:
    return -jnp.sum(targets * jax.nn.log_softmax(logits.astype(jnp.float32)), axis=-1)


def truncated_cross_entropy(error: jax.Array, eps_inf: float = 0.3, eps_sup: float = 0.7) -> jax.Array:
    middle = -jnp.log(1 - error) + math.log(1 - eps_inf)
    hard = (error - eps_sup) / (1 - eps_sup) - math.log(1 - eps_sup) + math.log(1 - eps_inf)
    return jnp.where(error < eps_inf, 0, jnp.where(error <= eps_sup, middle, hard))


def softmax_truncated_cross_entropy(logits: jax.Array, labels: jax.Array, weights: Any = 1) -> jax.Array:
    return weights * truncated_cross_entropy(1 - jnp.exp(-softmax_cross_entropy(logits, labels)))


def all_entries_truncated_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    p, y = jax.nn.softmax(logits.astype(jnp.float32)), one_hot(labels, logits.shape[-1])
    return y.any(-1) * jnp.sum(truncated_cross_entropy(jnp.where(y, 1 - p, p)), axis=-1)


def balanced_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return softmax_truncated_cross_entropy(logits, labels, balance_mask(labels, logits.shape[-1]))


def sigmoid_cross_entropy(logits: jax.Array, flags: jax.Array) -> jax.Array:
    logits = logits.astype(jnp.float32)
    return -jnp.where(flags == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))


def mean_of_entries(cost: jax.Array, flags: jax.Array) -> jax.Array:
    inside = (flags == 0) | (flags == 1)
    return jnp.sum(inside * cost, axis=-1) / jnp.maximum(jnp.sum(inside, axis=-1), 1)


def sigmoid_truncated_cross_entropy(logits: jax.Array, flags: jax.Array, weights: Any = 1) -> jax.Array:
    error = 1 - jnp.exp(-sigmoid_cross_entropy(logits, flags))
    return mean_of_entries(weights * truncated_cross_entropy(error), flags)


def sigmoid_focal_loss(logits: jax.Array, flags: jax.Array) -> jax.Array:
    cost = sigmoid_cross_entropy(logits, flags)
    return mean_of_entries((1 - jnp.exp(-cost)) ** 2 * cost, flags)


def sigmoid_balanced_loss(logits: jax.Array, flags: jax.Array) -> jax.Array:
    masks = [balance_mask(flags[..., k], 2) for k in range(flags.shape[-1])]
    return sigmoid_truncated_cross_entropy(logits, flags, jnp.stack(masks, axis=-1))


def _sums(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return S(py), S(p) and S(y) of each image and class; S sums over the pixels that are not void."""
    y, inside = one_hot(labels, logits.shape[-1]), valid_mask(labels, logits.shape[-1])
    p = jax.nn.softmax(logits.astype(jnp.float32)) * inside[..., None]
    both, predicted, size = (jnp.sum(x, axis=(-3, -2)) for x in (p * y, p, y))
    return both, predicted, size


def _mean_of_present(cost: jax.Array, size: jax.Array) -> jax.Array:
    present = size > 0
    return jnp.sum(jnp.where(present, cost, 0), axis=-1) / jnp.maximum(jnp.sum(present, axis=-1), 1)


def _tversky(logits: jax.Array, labels: jax.Array, factor: float, gamma: float = 1.0) -> jax.Array:
    both, predicted, size = _sums(logits, labels)
    index = both / (both + factor * (predicted - both) + factor * (size - both))
    return _mean_of_present((1 - index) ** gamma, size)


dice_loss = tversky_loss = functools.partial(_tversky, factor=0.5)
iou_loss = functools.partial(_tversky, factor=1.0)
focal_tversky_loss = functools.partial(_tversky, factor=0.5, gamma=0.75)


def _distances(logits: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return S(|p - t|), S(p) + S(t) and S(t) of each image and class."""
    p = jax.nn.softmax(logits.astype(jnp.float32)) * targets.any(-1, keepdims=True)
    distance, both, size = (jnp.sum(x, axis=(-3, -2)) for x in (jnp.abs(p - targets), p + targets, targets))
    return distance, both, size


def dice_loss_with_probabilities(logits: jax.Array, targets: jax.Array) -> jax.Array:
    distance, both, size = _distances(logits, targets)
    return _mean_of_present(distance / both, size)


def iou_loss_with_probabilities(logits: jax.Array, targets: jax.Array) -> jax.Array:
    distance, both, size = _distances(logits, targets)
    return _mean_of_present(2 * distance / (both + distance), size)


def generalized_dice_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    both, predicted, size = _sums(logits, labels)
    weights = jnp.where(size > 0, 1 / jnp.maximum(size, 1) ** 2, 0)
    return 1 - 2 * jnp.sum(weights * both, axis=-1) / jnp.sum(weights * (predicted + size), axis=-1)


def lovasz_softmax_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Sort the errors of each class together with the labels; see Berman et al. 2018, algorithm 1."""
    y, inside = one_hot(labels, logits.shape[-1]), valid_mask(labels, logits.shape[-1])
    p = jax.nn.softmax(logits.astype(jnp.float32)) * inside[..., None]
    errors, y = (jax.lax.collapse(jnp.moveaxis(x, -1, -3), -2) for x in (jnp.abs(y - p), y))
    descending, y = jax.lax.sort((-errors, y), num_keys=1)
    size = jnp.sum(y, axis=-1, keepdims=True)
    jaccard = 1 - (size - jnp.cumsum(y, axis=-1)) / (size + jnp.cumsum(1 - y, axis=-1))
    steps = jnp.diff(jaccard, prepend=0, axis=-1)
    return _mean_of_present(jnp.sum(-descending * jax.lax.stop_gradient(steps), axis=-1), size[..., 0])


def valid_mask(labels: jax.Array, classes: int) -> jax.Array:
    return (labels >= 0) & (labels < classes)


def _spread(values: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the value of each pixel's class, of values [..., C] for each image."""
    return jnp.sum(values[..., None, None, :] * one_hot(labels, values.shape[-1]), axis=-1)


def fixed_class_weights(labels: jax.Array, classes: int, values: jax.Array) -> jax.Array:
    return _spread(values, labels)


def class_weight_mask(labels: jax.Array, classes: int, beta: float = 0.99) -> jax.Array:
    counts = jnp.sum(one_hot(labels, classes), axis=(-3, -2))
    percent = 100 * counts / jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True), 1)
    return _spread((1 - beta**100) / (1 - beta ** jnp.maximum(percent, 1)), labels)


def confusion_mask(labels: jax.Array, classes: int, window: int = 7) -> jax.Array:
    """Count the pixels of each class in a window by adding up slices, along rows, then along columns."""

    def add_up(plane: jax.Array, axis: int) -> jax.Array:
        sides = [(0, 0)] * plane.ndim
        sides[axis] = (window // 2, window // 2)
        padded, length = jnp.pad(plane, sides), plane.shape[axis]
        slices = [jax.lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(window)]
        return functools.reduce(jnp.add, slices)

    counts = [add_up(add_up((labels == k).astype(jnp.float32), -1), -2) for k in range(classes)]
    total = jnp.maximum(sum(counts), 1)
    entropy = sum(jax.scipy.special.entr(count / total) for count in counts)
    return jnp.where(valid_mask(labels, classes), 1 - entropy / math.log(classes), 0)


def balance_mask(labels: jax.Array, classes: int) -> jax.Array:
    return class_weight_mask(labels, classes) * confusion_mask(labels, classes)


def boundary_mask(labels: jax.Array, classes: int) -> jax.Array:
    labels = jnp.where(valid_mask(labels, classes), labels, -1)
    *batch, height, width = labels.shape
    padded = jnp.pad(labels, [(0, 0)] * len(batch) + [(1, 1)] * 2, constant_values=-1)
    neighbors = (
        padded[..., top : top + height, left : left + width] for top, left in ((0, 1), (2, 1), (1, 0), (1, 2))
    )
    differs = [(neighbor != labels) & (neighbor >= 0) for neighbor in neighbors]
    return functools.reduce(jnp.logical_or, differs) & (labels >= 0)


def confusion_counts(predictions: jax.Array, labels: jax.Array, classes: int) -> ConfusionCounts:
    y = one_hot(labels, classes)
    predicted = one_hot(predictions, classes) & y.any(-1, keepdims=True)
    return ConfusionCounts(
        *(jnp.sum(x, axis=(-3, -2)) for x in (predicted & y, predicted & ~y, ~predicted & y))
    )


def diagnose(logits: jax.Array, labels: jax.Array) -> list[tuple[jax.Array, ...]]:
    """Sum pixels, balanced loss and gradient by error, branch, class and boundary."""
    classes = logits.shape[-1]
    valid = valid_mask(labels, classes)
    pixels = jnp.maximum(jnp.sum(valid, axis=(-2, -1), keepdims=True), 1)

    def total(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        cost = balanced_loss(logits, labels) / pixels
        return jnp.sum(cost), cost

    gradient, cost = jax.grad(total, has_aux=True)(logits)
    norm = jnp.sum(jnp.abs(gradient), axis=-1)
    error = 1 - jnp.exp(-softmax_cross_entropy(logits, labels))
    boundary = boundary_mask(labels, classes)
    groupings = [
        one_hot(jnp.minimum((error * 20).astype(jnp.int32), 19), 20) & valid[..., None],
        jnp.stack([error < 0.3, (error >= 0.3) & (error <= 0.7), error > 0.7], axis=-1) & valid[..., None],
        one_hot(labels, classes),
        jnp.stack([boundary, valid & ~boundary], axis=-1),
    ]
    return [
        tuple(jnp.sum(x[..., None] * groups, axis=(-3, -2)) for x in (valid, cost, norm))
        for groups in groupings
    ]


def augment(key: jax.Array, image: jax.Array, label: jax.Array, augmentation: Augmentation) -> Any:
    """Flip, turn about the center by looking up each pixel, and change brightness and contrast."""
    flip_key, angle_key, brightness_key, contrast_key = jax.random.split(key, 4)
    for axis, flipped in enumerate(jax.random.bernoulli(flip_key, shape=(2,))):
        image, label = (jnp.where(flipped, jnp.flip(x, axis), x) for x in (image, label))
    limit = augmentation.rotation * math.pi / 180
    angle = jax.random.uniform(angle_key, minval=-limit, maxval=limit)
    center = (jnp.array(label.shape, jnp.float32) - 1) / 2
    y, x = jnp.indices(label.shape) - center[:, None, None]
    there = [
        jnp.cos(angle) * y - jnp.sin(angle) * x + center[0],
        jnp.sin(angle) * y + jnp.cos(angle) * x + center[1],
    ]
    look_up = jax.scipy.ndimage.map_coordinates
    image = jax.vmap(lambda plane: look_up(plane, there, order=1, mode="nearest"), -1, -1)(image)
    label = look_up(label, there, order=0, mode="constant", cval=255)
    image = image + augmentation.brightness * jax.random.uniform(brightness_key, minval=-1.0)
    factor = 1 + augmentation.contrast * jax.random.uniform(contrast_key, minval=-1.0)
    mean = jnp.mean(image, axis=(0, 1), keepdims=True)
    return jnp.clip((image - mean) * factor + mean, 0, 1), label
