"""The explorer: the library's numbers at each position of the sliders, and a browser that draws them."""

import base64
import json
import re

import numpy as np
import pytest

from balanced_jax.diagnostics import loss_and_gradient
from balanced_jax.losses import softmax_focal_loss, truncated_cross_entropy
from balanced_jax.masks import balance_mask, confusion_mask
from docs.generate import explorer
from docs.generate.explorer import BETAS, CURVES, ERRORS, GAMMAS, PAIRS, SIDE, STEPS, WINDOWS
from docs.generate.labels import labels
from tests.train.display.pages.reading import needs_browser, shown

pytestmark = pytest.mark.slow  # the generator computes all positions of the sliders


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    explorer.write(folder)
    return (folder / "explorer.html").read_text()


@pytest.fixture(scope="module")
def data(page):
    found = re.search('id="explorer-data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def decoded(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def curve(data, kind: str, name: str, row: int) -> np.ndarray:
    return decoded(data[kind][name], "<u2").reshape(-1, ERRORS.size)[row] * CURVES[name] / STEPS


@pytest.mark.parametrize("pair", [(0.0, 1.0), (0.3, 0.7), (0.05, 0.1)])
def test_the_truncated_curve_is_that_of_the_library(data, pair):
    expected = np.asarray(truncated_cross_entropy(ERRORS.astype(np.float32), *pair))
    inside = expected < CURVES["loss"]
    drawn = curve(data, "truncated", "loss", PAIRS.index(pair))
    np.testing.assert_allclose(drawn[inside], expected[inside], atol=CURVES["loss"] / STEPS)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 5.0])
def test_the_gradient_of_the_focal_loss_is_that_of_the_library(data, gamma):
    scores = np.log1p(-ERRORS) - np.log(ERRORS)
    logits = np.stack([np.zeros_like(scores), scores], -1)[:, None, None].astype(np.float32)

    def loss(z, y):
        return softmax_focal_loss(z, y, gamma=gamma)

    _, norm = loss_and_gradient(loss, logits, np.ones((ERRORS.size, 1, 1), np.uint8))
    expected = np.ravel(norm) / 2  # the L1 norm counts both scores
    drawn = curve(data, "focal", "gradient", GAMMAS.index(gamma))
    np.testing.assert_allclose(drawn, expected, atol=2 * CURVES["gradient"] / STEPS)


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize(("beta", "window"), [(0.99, 7), (0.0, 3), (0.999, 0)])
def test_masks_are_those_of_the_library(data, index, beta, window):
    labeled, encoded = labels()[index], data["labels"][index]
    mask = encoded["masks"][WINDOWS.index(window)]
    kinds = decoded(mask["kinds"], "<u2").reshape(SIDE, SIDE)
    expected = explorer.mask_values(labeled, beta, window)
    for name, colors in explorer.mask_colors(expected).items():
        of_kinds = mask[name] if name == "confusion" else mask[name][BETAS.index(beta)]
        np.testing.assert_array_equal(decoded(of_kinds, "u1").reshape(-1, 3)[kinds], colors)
    if window:
        n = len(labeled.classes)
        product = np.asarray(balance_mask(labeled.label, n, beta=beta, window=window))
        np.testing.assert_array_equal(expected["product"], product)
        np.testing.assert_array_equal(expected["confusion"], confusion_mask(labeled.label, n, window=window))
        means = mask["means"][BETAS.index(beta)]["product"]
        assert means[1] == pytest.approx(np.mean(product[labeled.label == 1]), rel=1e-3)


def test_the_explorer_is_small_and_loads_nothing(page):
    assert len(page) < 2**20
    assert not re.search(r"https?:|@import|fetch\(|<link|src=\"(?!data:)", page)


_MOVE = """<script>
const root = document.getElementById("explorer"), fields = root.querySelector("form").elements;
function move(name, position) {
  fields[name].value = position;
  fields[name].dispatchEvent(new Event("input", {bubbles: true}));
}
function seen() {
  const colors = name => {
    const canvas = root.querySelector(`[data-mask=${name}]`);
    const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    return [...copy.getImageData(0, 0, canvas.width, canvas.height).data];
  };
  return {
    path: root.querySelector("[data-chart=loss] [data-line=truncated]").getAttribute("d"),
    confusion: colors("confusion"), product: colors("product"), row: root.querySelector("tbody tr").innerText,
    outputs: [...root.querySelectorAll("output")].map(output => output.value),
  };
}
const states = [seen()];
MOVES
document.title = JSON.stringify(states);
</script>"""


def after(page, tmp_path, *moves: tuple[str, int]):
    """What the page shows at first, and after each move of a slider to a position."""
    script = "".join(f"move({name!r}, {position}); states.push(seen());" for name, position in moves)
    return shown(f"<!doctype html><title></title>{page}{_MOVE.replace('MOVES', script)}", tmp_path)


def points(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Errors and losses of a line, from the coordinates of the drawing: 200 wide, 120 high."""
    numbers = np.array([point.split() for point in path[1:].split("L")], float)
    return numbers[:, 0] / 200, (1 - numbers[:, 1] / 120) * CURVES["loss"]


@needs_browser
def test_a_slider_draws_what_the_library_computes(page, tmp_path):
    first, moved, wide = after(page, tmp_path, ("sup", 17), ("window", WINDOWS.index(15)))[:3]
    for state, sup in ((first, 0.7), (moved, 0.9)):
        errors, losses = points(state["path"])
        np.testing.assert_allclose(errors, ERRORS, atol=1e-3)
        expected = truncated_cross_entropy(ERRORS.astype(np.float32), 0.3, sup)
        np.testing.assert_allclose(losses, np.asarray(expected), atol=2e-3)
    for state, window in ((moved, 7), (wide, 15)):
        colors = explorer.mask_colors(explorer.mask_values(labels()[0], 0.99, window))
        for name in ("confusion", "product"):
            drawn = np.reshape(state[name], (SIDE, SIDE, 4))
            np.testing.assert_array_equal(drawn[..., :3], colors[name])
    assert first["row"].split()[0] == "background"


@needs_browser
def test_thresholds_push_each_other(page, tmp_path):
    states = after(page, tmp_path, ("inf", 18), ("sup", 3))
    assert [state["outputs"][:2] for state in states] == [["0.3", "0.7"], ["0.9", "0.95"], ["0.15", "0.2"]]
