"""Reliability diagrams."""

from tests.train.records import calibration
from train.display.report.reliability import reliability_diagrams
from train.measures.records import Calibration

COLORS = ("#d55e00", "#56b4e9")


def test_bins_of_many_pixels_are_drawn_beside_the_line_of_equality():
    charts = reliability_diagrams({"scratch": calibration(), "pit": calibration()}, COLORS)
    assert [chart.title for chart in charts] == ["scratch", "pit"]
    for chart, color in zip(charts, COLORS, strict=True):
        labeled, equal = chart.lines
        assert (labeled.values, labeled.color, labeled.points) == ([None, 0.02, 0.1, None], color, True)
        assert equal.values == [0, 0.01, 0.075, 1]
        assert chart.drawing.count(color) > 2  # points, which a single bin needs to be seen


def test_a_class_without_pixels_has_the_line_of_equality_alone():
    nothing = Calibration([0] * 20, [None] * 20, [None] * 20, None, None)
    (chart,) = reliability_diagrams({"pit": nothing}, COLORS[:1])
    assert chart.drawing.startswith("<svg viewBox=")
    assert [line.values for line in chart.lines] == [[None, None], [0, 1]]
