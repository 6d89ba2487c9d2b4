"""Charts of lines and of bars."""

import re

import pytest

from train.display.pages.charts import INK, Bar, Line, draw_bars, draw_chart

RED = "#d55e00"
LINES = draw_chart("title", "epoch", [1, 2], [Line("a", [0.1, None]), Line("b", [0.2, 0.3], dash="6 2")])


def bars(*values, deviation=None, named=False) -> str:
    shown = [Bar(f"bar {i}", value, deviation, RED) for i, value in enumerate(values)]
    return draw_bars("title", shown, salt="salt", width=2, top=1, named=named).drawing


@pytest.mark.parametrize("drawing", [LINES.drawing, bars(0.5, 0.6, deviation=0.1)])
def test_a_chart_takes_the_color_of_the_text(drawing):
    assert drawing.startswith("<svg viewBox=")
    assert "currentColor" in drawing
    assert INK not in drawing
    assert "#000000" not in drawing
    assert "<style" not in drawing


def test_a_bar_without_a_value_is_a_gap():
    assert bars(0.5, None, 0.6).count(f"fill: {RED}") == 2
    assert bars(0.5, 0.4, 0.6).count(f"fill: {RED}") == 3


def test_bars_with_names_show_their_values():
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", bars(0.5, 0.25, named=True))
    assert {"bar 0", "bar 1", "0.500", "0.250"} < set(texts)
    assert not {"bar 0", "0.500"} & set(re.findall(r"<text[^>]*>([^<]*)</text>", bars(0.5, 0.25)))


def test_a_deviation_is_drawn_as_an_error_bar():
    assert len(bars(0.5, deviation=0.1)) > len(bars(0.5)) + 100
