"""The explorer of the loss: a part of a page that looks up and draws what the library computed.

Curves and masks are computed at every position of the sliders, so that no formula is written twice. Arrays
are little-endian and in base64.
"""

import base64
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from balanced_jax.diagnostics import group_sums, means
from balanced_jax.losses import softmax_focal_loss, softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask, class_weight_mask, confusion_mask
from docs.generate.labels import SIDE, Labeled, labels
from docs.generate.markup import scale
from docs.generate.pictures import MASK_SCALE, WEIGHT_SCALE, gray
from train.display.pages.colors import series_colors
from train.display.pages.frames import SIDE as SHOWN_SIDE
from train.display.pages.frames import data_uri
from train.display.pictures import enlarge, heat_colors, overlay

ERRORS = (np.arange(100) + 0.5) / 100
THRESHOLDS = [round(i / 20, 2) for i in range(21)]
PAIRS = list(itertools.combinations(THRESHOLDS, 2))
"""Positions of eps_inf and eps_sup."""
GAMMAS = [i / 4 for i in range(21)]
BETAS = [0.0, 0.5, 0.75, 0.9, 0.99, 0.999]
WINDOWS = [0, 3, 5, 7, 9, 11, 15]
"""0 is no confusion mask."""
CURVES = {"loss": 4.0, "slope": 8.0, "gradient": 1.2}
"""Upper ends of the charts: of the loss, its derivative by the error, and by the score of the label."""
STEPS = 2**15
"""Steps of the curves from 0 to the upper end of a chart."""
FILES = Path(__file__).with_name("explorer_files")


def write(folder: Path) -> None:
    """Write the explorer as one HTML file, for a page to include."""
    data = {
        "thresholds": THRESHOLDS,
        "pairs": PAIRS,
        "gammas": GAMMAS,
        "betas": BETAS,
        "windows": WINDOWS,
        "errors": ERRORS.tolist(),
        "tops": CURVES,
        "steps": STEPS,
        "colors": series_colors(2),
        "truncated": _encoded(truncated_curves()),
        "focal": _encoded(focal_curves()),
        "labels": [_label(labeled) for labeled in labels()],
    }
    page = (FILES / "explorer.html").read_text()
    parts = {
        "STYLE": (FILES / "explorer.css").read_text(),
        "SCRIPT": (FILES / "explorer.js").read_text(),
        "DATA": json.dumps(data, separators=(",", ":")),
        "SCALES": scale(WEIGHT_SCALE) + scale(MASK_SCALE),
    }
    for name, text in parts.items():
        page = page.replace(f"<!-- {name} -->", text)
    (folder / "explorer.html").write_text(page, encoding="utf-8")


def truncated_curves() -> dict[str, np.ndarray]:
    """Return the curves of `CURVES` for each of `PAIRS`, [pairs, errors]."""
    inf, sup = np.array(PAIRS, np.float32).T
    return _curves(
        lambda z, y, p: softmax_truncated_cross_entropy(z, y, eps_inf=p[0], eps_sup=p[1]), inf, sup
    )


def focal_curves() -> dict[str, np.ndarray]:
    """Return the curves of `CURVES` for each of `GAMMAS`, [gammas, errors]."""
    return _curves(lambda z, y, p: softmax_focal_loss(z, y, gamma=p[0]), np.array(GAMMAS, np.float32))


def _curves(loss: Callable, *parameters: np.ndarray) -> dict[str, np.ndarray]:
    """Return a loss and its two derivatives for pixels of two classes at `ERRORS`."""
    label = jnp.ones((1, 1), jnp.int32)

    def of_score(score, parameters):
        return loss(jnp.stack([jnp.zeros_like(score), score])[None, None], label, parameters)[0, 0]

    def of_error(error, parameters):
        return of_score(jnp.log1p(-error) - jnp.log(error), parameters)

    def curves(error, parameters):
        value, slope = jax.value_and_grad(of_error)(error, parameters)
        gradient = jax.grad(of_score)(jnp.log1p(-error) - jnp.log(error), parameters)
        return {"loss": value, "slope": abs(slope), "gradient": abs(gradient)}

    over_errors = jax.vmap(curves, (0, None))
    computed = jax.jit(jax.vmap(over_errors, (None, 0)))(jnp.asarray(ERRORS, jnp.float32), parameters)
    return {name: np.asarray(values) for name, values in computed.items()}


def _encoded(curves: dict[str, np.ndarray]) -> dict[str, str]:
    """Encode curves as steps, uint16; values beyond the largest number stand above the chart."""
    return {
        name: _base64(np.minimum(np.round(values / CURVES[name] * STEPS), 2**16 - 1).astype("<u2"))
        for name, values in curves.items()
    }


def _label(labeled: Labeled) -> dict[str, Any]:
    """Return the masks of a label image at every position of the sliders."""
    picture = data_uri(overlay(enlarge(labeled.image, SHOWN_SIDE), enlarge(labeled.label, SHOWN_SIDE)))
    classes = labeled.label[..., None] == np.arange(len(labeled.classes))
    return {
        "title": labeled.title,
        "picture": picture,
        "side": SIDE,
        "classes": labeled.classes,
        "pixels": classes.mean((0, 1)).tolist(),
        "masks": [_masks(labeled, classes, window) for window in WINDOWS],
    }


def mask_values(labeled: Labeled, beta: float, window: int) -> dict[str, np.ndarray]:
    """Return class weights, confusion mask and product of a label image; window 0 is no confusion mask."""
    n = len(labeled.classes)
    weight = class_weight_mask(labeled.label, n, beta=beta)
    if window == 0:
        return {
            "weight": np.asarray(weight),
            "confusion": np.ones((SIDE, SIDE)),
            "product": np.asarray(weight),
        }
    return {
        "weight": np.asarray(weight),
        "confusion": np.asarray(confusion_mask(labeled.label, n, window=window)),
        "product": np.asarray(balance_mask(labeled.label, n, beta=beta, window=window)),
    }


def mask_colors(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the colors of masks, uint8 [..., 3]."""
    return {
        "weight": heat_colors(values["weight"]),
        "confusion": gray(values["confusion"]),
        "product": heat_colors(values["product"]),
    }


def _masks(labeled: Labeled, classes: np.ndarray, window: int) -> dict[str, Any]:
    """Return the masks of one window under each beta.

    Pixels of one class with one value of the confusion mask are of one kind: `kinds` is the kind of each
    pixel, and the colors are those of each kind.
    """
    of_betas = [mask_values(labeled, beta, window) for beta in BETAS]
    pairs = np.stack([labeled.label.ravel(), of_betas[0]["confusion"].ravel()], -1)
    _, first, kinds = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    colors = [
        {name: _base64(c.reshape(-1, 3)[first]) for name, c in mask_colors(values).items()}
        for values in of_betas
    ]
    pixels = classes.sum((0, 1))
    return {
        "kinds": _base64(kinds.astype("<u2")),
        "confusion": colors[0]["confusion"],
        "weight": [each["weight"] for each in colors],
        "product": [each["product"] for each in colors],
        "means": [
            {name: _rounded(means(group_sums(mask, classes), pixels)) for name, mask in values.items()}
            | {"share": _rounded(_shares(values["product"], classes))}
            for values in of_betas
        ],
    }


def _shares(mask: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the fraction of the weight of an image on each class."""
    sums = np.asarray(group_sums(mask, classes), np.float64)
    return sums / sums.sum()


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
