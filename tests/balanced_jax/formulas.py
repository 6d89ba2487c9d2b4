"""The published formulas in NumPy and float64, written apart from the library.

Losses are of one image: logits `[..., H, W, C]`, where leading axes hold variants of the same image, labels
and weights `[H, W]`. They take complex logits, so that `gradient` differentiates them to the last digit.
"""

import numpy as np


def gradient(formula, logits, cotangent):
    """Derivative of sum(cotangent * formula(logits)), by complex steps: no difference, hence no rounding."""
    size = logits.size
    steps = logits + 1e-30j * np.eye(size).reshape(size, *logits.shape)
    return np.sum(formula(steps).imag * cotangent, axis=(-2, -1)).reshape(logits.shape) / 1e-30


def valid(labels, num_classes):
    return np.isin(labels, np.arange(num_classes))


def weigh(cost, labels, num_classes, weights):
    weights = np.ones(labels.shape) if weights is None else weights
    return np.where(valid(labels, num_classes), cost * np.where(valid(labels, num_classes), weights, 0), 0)


def log_softmax(logits):
    shifted = logits - logits.real.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def surprise(logits, labels):
    """-log of the label's probability; anything at void pixels."""
    log_p = log_softmax(logits)
    inside = np.where(valid(labels, logits.shape[-1]), labels, 0).astype(int)
    return -sum(log_p[..., k] * (inside == k) for k in range(logits.shape[-1]))


def softmax_cross_entropy(logits, labels, weights=None):
    return weigh(surprise(logits, labels), labels, logits.shape[-1], weights)


def softmax_truncated_cross_entropy(logits, labels, weights=None, eps_inf=0.3, eps_sup=0.7):
    nll = surprise(logits, labels)
    error = -np.expm1(-nll)
    cost = nll + np.log1p(-eps_inf)
    if eps_sup < 1:
        hard = (error - eps_sup) / (1 - eps_sup) - np.log1p(-eps_sup) + np.log1p(-eps_inf)
        cost = np.where(error.real > eps_sup, hard, cost)
    return weigh(np.where(error.real < eps_inf, 0, cost), labels, logits.shape[-1], weights)


def softmax_focal_loss(logits, labels, weights=None, gamma=2.0, alpha=None):
    num_classes = logits.shape[-1]
    alpha = np.ones(num_classes) if alpha is None else np.asarray(alpha, float)
    log_p, cost = log_softmax(logits), 0
    for k in range(num_classes):
        others = np.delete(log_p, k, axis=-1)
        largest = others.real.max(-1)
        log_rest = largest + np.log(np.exp(others - largest[..., None]).sum(-1))
        cost = cost + (labels == k) * alpha[k] * np.exp(gamma * log_rest) * -log_p[..., k]
    return weigh(cost, labels, num_classes, weights)


def dice_loss(logits, labels, weights=None, classes="present", smoothing=0.1):
    num_classes, inside = logits.shape[-1], valid(labels, logits.shape[-1])
    w = np.where(inside, 1.0 if weights is None else weights, 0)
    p, costs = np.exp(log_softmax(logits)), []
    if w.sum() == 0:
        return np.zeros(logits.shape[:-1], logits.dtype)

    def total(values):
        return np.sum(w * values, axis=(-2, -1), keepdims=True)

    for k in range(num_classes):
        y, q = (labels == k) * 1.0, p[..., k]
        if total(y).item() > 0:
            costs.append(inside.sum() * w * (q + y - 2 * q * y) / (total(q) + total(y)))
        elif classes == "all":
            f = total(q) / w.sum()
            costs.append(inside.sum() * w * q / w.sum() / (f + smoothing))
    return sum(costs) / len(costs)


def balanced_loss(logits, labels, weights=None, eps_inf=0.3, eps_sup=0.7, beta=0.99, window=7):
    num_classes = logits.shape[-1]
    mask = class_weight_mask(labels, num_classes, beta) * confusion_mask(labels, num_classes, window)
    cost = softmax_truncated_cross_entropy(logits, labels, weights, eps_inf, eps_sup)
    return mask * cost


def class_weight_mask(
    labels, num_classes, beta=0.99, counting="percent", floor=1.0, relative=True, power=1.0
):
    """Equation 2."""
    n, mask = valid(labels, num_classes).sum(), np.zeros(labels.shape)
    full = 100.0 if counting == "percent" else float(n)
    for k in range(num_classes):
        if (labels == k).any():
            covered = max((labels == k).sum() * full / n, floor)
            weight = (1 - beta) / (1 - beta**covered)
            if relative:
                weight /= (1 - beta) / (1 - beta**full)
            mask[labels == k] = weight**power
    return mask


def counts(labels, num_classes, window):
    """How many pixels of each class lie in the window around each pixel."""
    height, width = labels.shape
    result = np.zeros((height, width, num_classes), int)
    for i in range(height):
        for j in range(width):
            rows = slice(max(i - window // 2, 0), i + window // 2 + 1)
            columns = slice(max(j - window // 2, 0), j + window // 2 + 1)
            for k in range(num_classes):
                result[i, j, k] = (labels[rows, columns] == k).sum()
    return result


def confusion_mask(
    labels, num_classes, window=7, minimum=0.0, preserve_class_mass=False, divide_by_area=False
):
    """Equations 8 to 10, with the printed denominator of equation 9 on request."""
    mask = np.zeros(labels.shape)
    for place, count in zip(
        np.ndindex(labels.shape), counts(labels, num_classes, window).reshape(-1, num_classes), strict=True
    ):
        if 0 <= labels[place] < num_classes:
            shares = count[count > 0] / (window**2 if divide_by_area else count.sum())
            mask[place] = max(1 + np.sum(shares * np.log(shares)) / np.log(num_classes), minimum)
    for k in range(num_classes) if preserve_class_mass else ():
        if (labels == k).any():
            mean = mask[labels == k].mean()
            mask[labels == k] = 1 if mean < 1e-3 else mask[labels == k] / mean
    return mask


def boundary_mask(labels, num_classes):
    mask = np.zeros(labels.shape, bool)
    inside = valid(labels, num_classes)
    for i, j in np.ndindex(labels.shape):
        for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            place = i + di, j + dj
            if inside[i, j] and 0 <= place[0] < labels.shape[0] and 0 <= place[1] < labels.shape[1]:
                mask[i, j] |= inside[place] and labels[place] != labels[i, j]
    return mask
