"""Colors of lines and bars."""

from train.display.pages.colors import series_colors


def test_colors_of_a_series_differ_and_end_with_yellow():
    colors = series_colors(9)
    assert len(set(colors)) == 9
    assert colors[6] == "#f0e442"
    assert series_colors(2) == colors[:2]
