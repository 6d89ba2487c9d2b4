"""Pictures of the loss and its masks, and of what losses do at missed defects and at borders.

Every curve, mask and share is computed by the library when the site is built.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from balanced_jax.diagnostics import (
    diagnose,
    group_sums,
    loss_and_gradient,
    means,
)
from balanced_jax.losses import dice_loss, softmax_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks import (
    balance_mask,
    boundary_mask,
    class_weight_mask,
    confusion_mask,
)
from configs.objectives import CLOSING, SLOWLY_CLOSING
from configs.paper import configs
from docs.generate.labels import Labeled, labels, outlined
from docs.generate.markup import Panel, Scale, charts, panels, table
from train.display.comparison.loss_curves import loss_charts
from train.display.pages.charts import DASHES, Chart, Line, draw_chart
from train.display.pages.colors import series_colors
from train.display.pictures import HEAT_TICKS, heat_colors, overlay

BETA, WINDOW = 0.99, 7
"""The paper's numbers."""
PAPER = partial(softmax_truncated_cross_entropy, eps_inf=0.3, eps_sup=0.7)
WIDE = partial(softmax_truncated_cross_entropy, eps_inf=0.1, eps_sup=0.9)

_HEAT = np.geomspace(HEAT_TICKS[0], HEAT_TICKS[-1], 16)
WEIGHT_SCALE = Scale(
    "class weights and product: a weight of 1 is that of plain cross-entropy",
    heat_colors(_HEAT),
    ("≤ 0.1", "1", "10", "≥ 100"),
)
MASK_SCALE = Scale(
    "confusion mask", np.linspace(0, 255, 3, dtype=np.uint8)[:, None].repeat(3, 1), ("0", "0.5", "1")
)


def write(folder: Path) -> None:
    """Write one HTML file for each picture, which a page includes."""
    pictures = {
        "figure_4": lambda: charts(loss_charts(configs["figure_4"].objective)),
        "masks": masks,
        "starving": starving,
        "closing": closing,
        "border": border,
    }
    for name, picture in pictures.items():
        (folder / f"{name}.html").write_text(picture(), encoding="utf-8")


def gray(mask: np.ndarray) -> np.ndarray:
    """Return weights from 0 to 1 as shades of gray, uint8 [h, w, 3]."""
    return np.repeat(np.round(255 * mask)[..., None], 3, axis=-1).astype(np.uint8)


def masks() -> str:
    """Show class weights, confusion mask and their product over label images, and their means by class."""
    text = ""
    for labeled in labels():
        n = len(labeled.classes)
        weights = np.asarray(class_weight_mask(labeled.label, n, beta=BETA))
        confusion = np.asarray(confusion_mask(labeled.label, n, window=WINDOW))
        product = np.asarray(balance_mask(labeled.label, n, beta=BETA, window=WINDOW))
        pictures = [
            Panel(labeled.title, overlay(labeled.image, labeled.label)),
            Panel("class weights", heat_colors(weights)),
            Panel("confusion mask", gray(confusion)),
            Panel("their product", heat_colors(product)),
        ]
        text += panels(pictures) + _means_by_class(labeled, [weights, confusion, product])
        if labeled.accurate is not None:
            text += _means_by_correctness(labeled.label != labeled.accurate, [weights, confusion, product])
    return panels([], [WEIGHT_SCALE, MASK_SCALE]) + text


def _means_by_class(labeled: Labeled, masks: list[np.ndarray]) -> str:
    """Return the fraction of the pixels of each class, and the means of masks over them."""
    classes = labeled.label[..., None] == np.arange(len(labeled.classes))
    return _means_table("class", labeled.classes, classes, masks)


def _means_by_correctness(wrong: np.ndarray, masks: list[np.ndarray]) -> str:
    """Return the same of the pixels whose label is right, and of those whose label is wrong."""
    return _means_table("label", ("right", "wrong"), np.stack([~wrong, wrong], -1), masks)


def _means_table(heading: str, names: Sequence[str], groups: np.ndarray, masks: list[np.ndarray]) -> str:
    """Return the fraction of the pixels, and the means of masks, of each group of pixels, [h, w, groups]."""
    pixels = groups.sum((0, 1))
    columns = [means(group_sums(mask, groups), pixels) for mask in masks]
    rows = [
        [name, f"{pixels[k] / groups[..., 0].size:.1%}", *(f"{column[k]:.2f}" for column in columns)]
        for k, name in enumerate(names)
    ]
    return table([heading, "pixels", "class weight, mean", "confusion mask, mean", "product, mean"], rows)


# A network that has settled on background.


def settled() -> tuple[np.ndarray, np.ndarray]:
    """Return logits and labels of a network that gives every pixel a small probability of being a defect.

    The odds of the defect are 1 to 30 in the median, whether there is a defect (3 % of the pixels) or not.
    """
    rng = np.random.default_rng(0)
    labels = (rng.random((128, 128)) < 0.03).astype(np.uint8)
    scores = rng.normal(-np.log(30), 0.8, labels.shape)
    return np.stack([np.zeros_like(scores), scores], -1).astype(np.float32), labels


def starving() -> str:
    """Show the gradient at a pixel over its error, and the gradient of a settled network over the error."""
    losses = {
        "cross-entropy": softmax_cross_entropy,
        "thresholds .1 and .9": WIDE,
        "thresholds .3 and .7": PAPER,
    }
    drawn = charts([_pull(losses), _cumulative_gradient(losses)])
    plain = _gradients(softmax_cross_entropy)
    rows = []
    for name, loss in losses.items():
        background, defect = _gradients(loss) / plain.sum()
        rows.append([name, f"{background:.1%}", f"{defect:.1%}", f"{defect / (plain[1] / plain.sum()):.3f}"])
    head = ["loss", "background", "defects", "defects, relative to cross-entropy"]
    return drawn + table(head, rows)


def _gradients(loss: Callable) -> np.ndarray:
    return np.asarray(diagnose(loss, *settled()).by_class.gradient, np.float64)


def _pull(losses: dict[str, Callable]) -> Chart:
    errors = np.arange(1, 400) / 400
    scores = np.log1p(-errors) - np.log(errors)  # of the label, class 1; the other class has score 0
    logits = np.stack([np.zeros_like(scores), scores], -1)[:, None, None].astype(np.float32)
    ones = np.ones(logits.shape[:-1], np.uint8)
    pulls = {name: np.ravel(loss_and_gradient(loss, logits, ones)[1]) for name, loss in losses.items()}
    plain = pulls["cross-entropy"]
    lines = [
        Line(name, (pull / plain).tolist(), color, dash)
        for (name, pull), color, dash in zip(pulls.items(), series_colors(3), ("", *DASHES), strict=False)
    ]
    title = "Gradient at a pixel over its error, relative to cross-entropy"
    return draw_chart(title, "error", errors.tolist(), lines, top=1.05)


def _cumulative_gradient(losses: dict[str, Callable]) -> Chart:
    sums = {name: diagnose(loss, *settled()).by_error.gradient for name, loss in losses.items()}
    total = np.sum(sums["cross-entropy"])
    ends = np.arange(len(sums["cross-entropy"]) + 1) / len(sums["cross-entropy"])
    lines = [
        Line(name, [0.0, *np.cumsum(gradient / total).tolist()], color, dash)
        for (name, gradient), color, dash in zip(sums.items(), series_colors(3), ("", *DASHES), strict=False)
    ]
    title = "Gradient of all pixels up to an error; cross-entropy's total is 1"
    return draw_chart(title, "error", ends.tolist(), lines, top=1.05)


def closing() -> str:
    """Show thresholds over a run, and the gradient at defects of a settled network under them."""
    progress = np.arange(101) / 100
    thresholds = {"closing": CLOSING, "slowly closing": SLOWLY_CLOSING}
    lines, pulls = [], []
    plain = _gradients(softmax_cross_entropy)[1]

    @jax.jit
    @jax.vmap
    def gradient(eps_inf, eps_sup):
        loss = partial(softmax_truncated_cross_entropy, eps_inf=eps_inf, eps_sup=eps_sup)
        return diagnose(loss, *settled()).by_class.gradient[1]

    for (name, ramps), color in zip(thresholds.items(), series_colors(2), strict=True):
        inf, sup = (np.asarray(ramps[end].number(progress)) for end in ("eps_inf", "eps_sup"))
        lines += [
            Line(f"eps_sup, {name}", sup.tolist(), color),
            Line(f"eps_inf, {name}", inf.tolist(), color, DASHES[0]),
        ]
        pulls.append(Line(name, (np.asarray(gradient(inf, sup)) / plain).tolist(), color))
    return charts(
        [
            draw_chart("Thresholds over a run", "fraction of the run", progress.tolist(), lines, top=1.05),
            draw_chart(
                "Gradient at defects still missed, relative to cross-entropy",
                "fraction of the run",
                progress.tolist(),
                pulls,
                top=1.05,
            ),
        ]
    )


# A label with an imprecise outline.


def border() -> str:
    """Show where losses pull under a label with an imprecise outline, and the shares of its pixels."""
    shape = outlined()
    # As sure of the shape as a trained network: odds grow by the factor e at each pixel from its outline.
    logits = np.stack([-shape.distance / 2, shape.distance / 2], -1).astype(np.float32)
    confusion = confusion_mask(shape.label, 2, window=WINDOW)
    balance = balance_mask(shape.label, 2, beta=BETA, window=WINDOW)
    losses = {
        "cross-entropy": softmax_cross_entropy,
        "Dice": dice_loss,
        "truncated, .3 and .7": PAPER,
        "cross-entropy under the confusion mask": partial(softmax_cross_entropy, weights=confusion),
        "balanced": partial(PAPER, weights=balance),
    }
    wrong = shape.label != shape.shape
    groups = jnp.stack([wrong, np.asarray(boundary_mask(shape.label, 2)), _near(shape.label, 3)], -1)
    gradients = {name: loss_and_gradient(loss, logits, shape.label)[1] for name, loss in losses.items()}
    plain = group_sums(gradients["cross-entropy"], groups)[0]
    rows = [["(pixels)", *(f"{share:.1%}" for share in np.mean(groups, (0, 1))), ""]]
    for name, gradient in gradients.items():
        sums = group_sums(gradient, groups)
        strength = f"{sums[0] / plain:.2f}" if name != "Dice" else "other unit"
        rows.append([name, *(f"{share:.1%}" for share in sums / gradient.sum()), strength])
    head = ["gradient under", "wrongly labeled", "at the boundary", "within 3 pixels of it"]
    head.append("at wrongly labeled pixels, relative to cross-entropy")
    image = np.full((*wrong.shape, 1), 200, np.uint8)
    pictures = [
        Panel("the shape", overlay(image, shape.shape)),
        Panel("its label", overlay(image, shape.label)),
        *(
            Panel(f"gradient: {name}", heat_colors(np.asarray(gradient / gradient.mean())))
            for name, gradient in gradients.items()
        ),
    ]
    scale = Scale("gradient, relative to its mean over the image", heat_colors(_HEAT), WEIGHT_SCALE.ticks)
    return panels(pictures, [scale]) + table(head, rows)


def _near(label: np.ndarray, reach: int) -> np.ndarray:
    """Return whether the square around a pixel, `reach` pixels each way, holds another class."""
    return np.asarray(confusion_mask(label, 2, window=2 * reach + 1) < 1)
