"""Formulas and pictures of the site, and the figures that its sentences take from them."""

import re

import numpy as np
import pytest
from PIL import Image

from docs.generate import pictures, quickstart, walls
from docs.generate.formulas import formula
from tests.docs.pages import ROOT


def rows(text: str) -> dict[str, list[str]]:
    """The cells of the tables of a picture, by the first cell of their row."""
    found = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", text)]
    return {row[0]: row[1:] for row in found if row}


def test_a_formula_stands_on_the_baseline_in_the_color_of_the_text():
    svg = formula(r"w_k = \frac{1 - \beta}{1 - \beta^{N_k}}")
    assert 'aria-label="w_k = ' in svg
    assert re.search(r"vertical-align:-0\.\d+em", svg)
    assert "fill" not in svg  # by the style sheet
    low, high = (float(re.findall("height:(.*?)em", formula(tex))[0]) for tex in ("x", r"\dfrac{a}{b}"))
    assert low < 1 < high


def test_unknown_tex_is_an_error():
    with pytest.raises(ValueError, match="Unknown symbol"):
        formula(r"\unknown")


def test_the_picture_of_the_readme_is_that_of_its_code(tmp_path):
    quickstart.write(tmp_path)
    made, kept = (np.asarray(Image.open(f / "quickstart.jpg"), int) for f in (tmp_path, ROOT / "docs"))
    assert np.abs(made - kept).mean() < 1  # encoders of JPEG may differ in rounding


def test_the_walls_show_that_class_weights_miss_less(tmp_path):
    walls.write(tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "topomortar.png"))
    columns = np.split(pixels[:, : 5 * (pixels.shape[1] // 5)], 5, axis=1)[2:]
    dice, class_weights, paper = ((column == (230, 80, 40)).all(-1).sum() for column in columns)
    assert max(class_weights, paper) < 0.6 * dice


@pytest.mark.slow
def test_the_border_pays_as_the_page_says():
    table = rows(pictures.border())
    assert table["(pixels)"][0] == "3.0%"
    assert table["cross-entropy"][0] == "66.1%"  # two thirds on wrong labels
    assert table["truncated, .3 and .7"][0] == "100.0%"
    assert 1 / 7 < float(table["balanced"][3]) < 1 / 6
    assert float(table["Dice"][0].rstrip("%")) < 33


@pytest.mark.slow
def test_thresholds_starve_defects_as_the_page_says():
    table = rows(pictures.starving())
    background, defects, pull = table["thresholds .3 and .7"]
    assert float(background.rstrip("%")) < 0.1 * float(defects.rstrip("%"))  # nearly all that is left
    assert 0.1 < float(pull) < 0.2 < float(table["thresholds .1 and .9"][2]) < 0.5


@pytest.mark.slow
def test_the_mask_spares_right_labels_of_the_wall_as_the_page_says():
    table = rows(pictures.masks())
    assert 0.25 < float(table["wrong"][2]) < 0.35
    assert 0.85 < float(table["right"][2]) < 0.9
    assert float(table["mortar"][2]) < 0.05
