"""The page of loss functions: the loss of a pixel, and its derivative, over the error of the pixel."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from markupsafe import Markup

from train.config import Term
from train.display.pages.charts import DASHES, Chart, Line, draw_chart
from train.display.pages.colors import series_colors
from train.display.pages.rendering import render_page
from train.errors import ANOTHER_OUT, UserError, writing
from train.paths import AnyPath
from train.run.files import write_text
from train.training.class_ratios import replace_ratios
from train.training.objective import total_cost

_ERRORS = np.arange(1, 1000) / 1000
_NEAR_ONE = 0.9
"""Error whose largest loss sets the upper end of a vertical axis, because losses may be infinite at 1."""
_MARGIN = 1.25
_MARK = '<meta name="generator" content="python -m train curves">'
"""In the head of the page, so that the command replaces nothing else."""
_HEAD = 2**10
"""Bytes of a file in which the mark is looked for."""


def write_loss_curves(path: AnyPath, title: str, terms: Mapping[str, Term]) -> None:
    """Write a page with the loss and its derivative over the error, atomically.

    Args:
        path: of the HTML file, which may be one that was written here before.
        title: of the page.
        terms: by the name of the line.

    Raises:
        UserError: there is another file, or the page cannot be written.
    """
    with writing(f"{path}", ANOTHER_OUT):
        if path.exists() and not _is_page(path):
            raise UserError(f"{path}: is there already, and no page of this command; give another --out")
        path.parent.mkdir(parents=True, exist_ok=True)
    template = Path(__file__).with_name("loss_curves.html.jinja")
    write_text(path, render_page(template, title=title, charts=loss_charts(terms), mark=Markup(_MARK)))


def _is_page(path: AnyPath) -> bool:
    """Return whether `write_loss_curves` has written a file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_HEAD)


def loss_charts(terms: Mapping[str, Term]) -> list[Chart]:
    """Draw the loss of a pixel over its error, and the magnitude of the derivative of the loss by the error.

    The error of a pixel is one minus the predicted probability of its label. Each term is evaluated on images
    of one pixel with two classes, at the end of a run, where every Ramp has reached its last value. Masks are
    left out, because they depend on the labels and not on the error, and class weights are 1.

    Args:
        terms: at least one, by the name of the line.

    Raises:
        UserError: a loss does not take class indices, such as those of several classes a pixel, or is not
            finite.
    """
    curves = {name: _loss_and_slope(name, term) for name, term in terms.items()}
    return [
        _chart("Loss over the error", {name: loss for name, (loss, _) in curves.items()}),
        _chart("Derivative of the loss by the error", {name: slope for name, (_, slope) in curves.items()}),
    ]


def _loss_and_slope(name: str, term: Term) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss at each error, and the magnitude of its derivative by the error."""
    unmasked = Term(term.loss, term.scale, replace_ratios(term, lambda _: (1.0, 1.0)).options)
    labels = jnp.ones((_ERRORS.size, 1, 1), jnp.int32)

    def total(errors: jax.Array) -> tuple[jax.Array, jax.Array]:
        scores = jnp.log1p(-errors) - jnp.log(errors)  # of the label, class 1; the other class has score 0
        logits = jnp.stack([jnp.zeros_like(scores), scores], -1)[:, None, None]
        costs = total_cost({"": unmasked}, logits, labels, 1.0)
        return costs.sum(), costs.ravel()

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))
    try:
        (_, losses), slopes = compiled(jnp.asarray(_ERRORS, jnp.float32))
    except (TypeError, ValueError) as error:
        raise UserError(f"objective.{name}: {' '.join(str(error).split())}") from error
    if not (np.isfinite(losses).all() and np.isfinite(slopes).all()):
        raise UserError(f"objective.{name}: is not finite on its curve; check its scale and options")
    return np.asarray(losses), np.abs(np.asarray(slopes))


def _chart(title: str, curves: Mapping[str, np.ndarray]) -> Chart:
    styles = zip(curves.items(), series_colors(len(curves)), itertools.cycle(("", *DASHES)), strict=False)
    lines = [Line(name, values.tolist(), color, dash) for (name, values), color, dash in styles]
    return draw_chart(title, "error", _ERRORS.tolist(), lines, top=_upper_end(list(curves.values())))


def _upper_end(curves: Sequence[np.ndarray]) -> float | None:
    """Return the upper end of a vertical axis that shows every curve up to errors near 1."""
    values = np.stack(curves)
    near_one = np.max(values[:, _ERRORS <= _NEAR_ONE])
    return float(min(1.05 * values.max(), _MARGIN * near_one)) or None
