"""The picture of injected defects."""

import numpy as np

from train.display.injection import draw_injected


def example(tone, defect):
    label = np.zeros((30, 40), np.uint8)
    label[defect] = 1
    return {"image": np.full((30, 40, 1), tone, np.uint8), "label": label, "masks": {}}


def test_a_column_shows_an_image_before_and_after_with_its_labels():
    before, after = example(100, np.s_[0:0]), example(120, np.s_[10:20, 10:20])
    figure = draw_injected([(before, after)] * 3)
    assert len(figure.axes) == 9
    first, second, third = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[::3])
    assert (first == 100).all()
    assert (second == 120).all()
    assert (third != 120).any()
    assert (third == 120).any()
