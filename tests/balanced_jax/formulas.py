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


def generalized_cross_entropy(logits, labels, weights=None, q=0.7):
    return weigh(-np.expm1(-q * surprise(logits, labels)) / q, labels, logits.shape[-1], weights)


def surprise_elsewhere(logits, k):
    """-log(1 - p) of class k, from the other classes."""
    others = np.delete(log_softmax(logits), k, axis=-1)
    largest = others.real.max(-1)
    return -largest - np.log(np.exp(others - largest[..., None]).sum(-1))


def equation_7(nll, eps_inf, eps_sup):
    """The three branches, chosen by the error."""
    error = -np.expm1(-nll)
    cost = nll + np.log1p(-eps_inf)
    if eps_sup < 1:
        hard = (error - eps_sup) / (1 - eps_sup) - np.log1p(-eps_sup) + np.log1p(-eps_inf)
        cost = np.where(error.real > eps_sup, hard, cost)
    return np.where(error.real < eps_inf, 0, cost)


def softmax_truncated_cross_entropy(logits, labels, weights=None, eps_inf=0.3, eps_sup=0.7):
    cost = equation_7(surprise(logits, labels), eps_inf, eps_sup)
    return weigh(cost, labels, logits.shape[-1], weights)


def all_entries_truncated_cross_entropy(logits, labels, weights=None, eps_inf=0.3, eps_sup=0.7):
    log_p, cost = log_softmax(logits), 0
    for k in range(logits.shape[-1]):
        nll = np.where(labels == k, -log_p[..., k], surprise_elsewhere(logits, k))
        cost = cost + equation_7(nll, eps_inf, eps_sup)
    return weigh(cost, labels, logits.shape[-1], weights)


def softmax_focal_loss(logits, labels, weights=None, gamma=2.0, alpha=None):
    num_classes = logits.shape[-1]
    alpha = np.ones(num_classes) if alpha is None else np.asarray(alpha, float)
    log_p, cost = log_softmax(logits), 0
    for k in range(num_classes):
        fading = np.exp(-gamma * surprise_elsewhere(logits, k))
        cost = cost + (labels == k) * alpha[k] * fading * -log_p[..., k]
    return weigh(cost, labels, num_classes, weights)


def log_sigmoid(logits):
    falling = np.where(logits.real < 0, logits, -logits)
    return np.where(logits.real < 0, logits, 0) - np.log1p(np.exp(falling))


def entry_surprise(logits, labels):
    return np.where(labels == 1, -log_sigmoid(logits), -log_sigmoid(-logits))


def mean_of_entries(cost, labels, weights):
    """Each pixel's mean over the entries that are 0 or 1, of weight times cost."""
    inside = valid(labels, 2)
    weights = np.ones(labels.shape) if weights is None else weights
    by_entry = weights if weights.ndim == labels.ndim else weights[..., None] * np.ones(labels.shape)
    total = np.where(inside, cost * np.where(inside, by_entry, 0), 0).sum(-1)
    return total / np.maximum(inside.sum(-1), 1)


def sigmoid_truncated_cross_entropy(logits, labels, weights=None, eps_inf=0.3, eps_sup=0.7):
    return mean_of_entries(equation_7(entry_surprise(logits, labels), eps_inf, eps_sup), labels, weights)


def sigmoid_focal_loss(logits, labels, weights=None, gamma=2.0, alpha=None):
    factor = 1 if alpha is None else np.where(labels == 1, alpha, 1 - alpha)
    fading = np.exp(-gamma * entry_surprise(logits, 1 - np.where(valid(labels, 2), labels, 0)))
    return mean_of_entries(factor * fading * entry_surprise(logits, labels), labels, weights)


def sigmoid_balanced_loss(logits, labels, weights=None, eps_inf=0.3, eps_sup=0.7, beta=0.99, window=7):
    masks = [
        class_weight_mask(plane, 2, beta) * confusion_mask(plane, 2, window)
        for plane in np.moveaxis(labels, -1, 0)
    ]
    cost = equation_7(entry_surprise(logits, labels), eps_inf, eps_sup) * np.stack(masks, -1)
    return mean_of_entries(cost, labels, weights)


def by_class(logits, labels, weights, classes, cost):
    """Mean over classes of `cost(q, y, total, labeled)`, class by class, times the number of pixels."""
    num_classes, inside = logits.shape[-1], valid(labels, logits.shape[-1])
    w = np.where(inside, 1.0 if weights is None else weights, 0)
    p, costs = softmax(logits), []

    def total(values):
        return np.sum(w * values, axis=(-2, -1), keepdims=True)

    for k in range(num_classes):
        labeled = w[labels == k].sum() > 0
        if labeled or (classes == "all" and w.sum() > 0):
            y = (labels == k) * 1.0
            costs.append(inside.sum() * w * cost(p[..., k], y, total, labeled))
    return sum(costs) / len(costs) if costs else np.zeros(logits.shape[:-1], logits.dtype)


def softmax(logits):
    exponentials = np.exp(logits - logits.real.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def tversky(logits, labels, weights, alpha, beta, classes, smoothing, gamma=1.0):
    def cost(q, y, total, labeled):
        if labeled:
            wrong = alpha * q * (1 - y) + beta * (1 - q) * y
            whole = total(q * y) + total(wrong)
        else:
            wrong, whole = q, total(q) + smoothing * total(1.0)
        index = total(wrong) / whole
        positive = index.real > 0
        return wrong / whole * np.where(positive, np.where(positive, index, 1) ** (gamma - 1), 0)

    return by_class(logits, labels, weights, classes, cost)


def dice_loss(logits, labels, weights=None, classes="present", smoothing=0.1):
    def cost(q, y, total, labeled):
        if labeled:
            return (q + y - 2 * q * y) / (total(q) + total(y))
        f = total(q) / total(1.0)
        return q / total(1.0) / (f + smoothing)

    return by_class(logits, labels, weights, classes, cost)


def iou_loss(logits, labels, weights=None, classes="present", smoothing=0.1):
    return tversky(logits, labels, weights, 1.0, 1.0, classes, smoothing)


def tversky_loss(logits, labels, weights=None, alpha=0.5, beta=0.5, classes="present", smoothing=0.1):
    return tversky(logits, labels, weights, alpha, beta, classes, smoothing)


def focal_tversky_loss(
    logits, labels, weights=None, alpha=0.5, beta=0.5, gamma=0.75, classes="present", smoothing=0.1
):
    return tversky(logits, labels, weights, alpha, beta, classes, smoothing, gamma)


def generalized_dice_loss(logits, labels, weights=None):
    num_classes, inside = logits.shape[-1], valid(labels, logits.shape[-1])
    w = np.where(inside, 1.0 if weights is None else weights, 0)
    p, above, below = softmax(logits), 0, 0
    for k in range(num_classes):
        y, q = (labels == k) * 1.0, p[..., k]
        if (w * y).sum() > 0:
            weight = 1 / (w * y).sum() ** 2
            above = above + weight * w * (q + y - 2 * q * y)
            below = below + weight * np.sum(w * (q + y), axis=(-2, -1), keepdims=True)
    if w.sum() == 0:
        return np.zeros(logits.shape[:-1], logits.dtype)
    return inside.sum() * above / below


def jaccard_distance(misclassified, y, w):
    """One minus intersection over union of a class, all pixels being right but the `misclassified`."""
    found, union = y & ~misclassified, y | misclassified
    return 1 - w[found].sum() / w[union].sum() if w[union].sum() > 0 else 0.0


def lovasz_softmax_loss(logits, labels, weights=None, classes="present"):
    w = np.where(valid(labels, logits.shape[-1]), 1.0 if weights is None else weights, 0).ravel()

    def cost(q, y, total, labeled):
        y = y == 1
        error = np.where(y, 1 - q, q)
        # One image, in float32 tied to within its rounding: such pixels are taken in the order of rows.
        first = error.real.reshape(-1, y.size)[0]
        order = np.argsort(-np.round(first, 9), kind="stable")
        steps, misclassified, distance = np.zeros(y.size), np.zeros(y.size, bool), 0.0
        for place in order:
            misclassified[place] = True
            steps[place] = jaccard_distance(misclassified, y.ravel(), w) - distance
            distance += steps[place]
        # `by_class` multiplies by the weights, which the steps contain.
        return error * (steps / np.where(w > 0, w, 1)).reshape(y.shape)

    return by_class(logits, labels, weights, classes, cost)


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


def fixed_class_weights(labels, num_classes, values):
    """The value at the index of the label; the entry behind the classes is that of void pixels."""
    return np.append(values, 0.0)[np.where(valid(labels, num_classes), labels, num_classes)]


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


def inverse_weight_mask(labels, num_classes, minimum=1.0, maximum=2e5):
    """As published, with parts found by flooding."""
    parts, inside = [labels == 0] if (labels == 0).any() else [], valid(labels, num_classes)
    left = inside & (labels != 0)
    while left.any():
        part = np.zeros(labels.shape, bool)
        reached = [tuple(np.argwhere(left)[0])]
        while reached:
            i, j = reached.pop()
            part[i, j], left[i, j] = True, False
            near = np.argwhere(left[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2])
            near = [(a + max(i - 1, 0), b + max(j - 1, 0)) for a, b in near]
            reached += [place for place in near if labels[place] == labels[i, j] and place not in reached]
        parts.append(part)
    mask = np.zeros(labels.shape)
    for part in parts:
        mask[part] = np.clip(inside.sum() / (len(parts) * part.sum()), minimum, maximum)
    return mask
