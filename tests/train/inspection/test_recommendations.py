"""The objective and the injection that are recommended on both sides of their limits."""

import numpy as np
import pytest

from configs.objectives import OBJECTIVES
from train.inspection.recommendations import recommend_injection, recommend_objective

CLASSES = ("background", "scratch", "pit")


@pytest.mark.parametrize(
    ("pixel_ratio", "name", "reason"),
    [
        ((0.5, 0.3, 0.2), "cross_entropy_dice", "pit has 20 % of the pixels, no class less; "),
        ((0.6, 0.1, 0.3), "cross_entropy_dice", "scratch has 10 % of the pixels, no class less; "),
        (
            (0.605, 0.095, 0.3),
            "slowly_closing_relaxing_no_window",
            "scratch has 9.5 % of the pixels, below 10 %; ",
        ),
        ((0.7, 0.3, 0.0), "cross_entropy_dice", "scratch has 30 % of the pixels, no class less; "),
    ],
)
def test_objectives_go_by_the_rarest_class_that_there_is(pixel_ratio, name, reason):
    recommended = recommend_objective(np.array(pixel_ratio), CLASSES)
    assert recommended.value == name
    assert recommended.value in OBJECTIVES
    assert recommended.reason.startswith(reason)
    assert "`paper`" in recommended.reason
    assert "paper" in OBJECTIVES


@pytest.mark.parametrize(
    ("images", "value", "reason"),
    [
        ((100, 40, 19), 0.5, "pit is on 19 training images, fewer than 20; compare runs with and without"),
        ((100, 20, 40), None, "scratch is on 20 training images, no class on fewer"),
        ((100, 40, 0), None, "scratch is on 40 training images, no class on fewer"),
    ],
)
def test_defects_are_pasted_where_few_images_show_a_class(images, value, reason):
    recommended = recommend_injection(np.array(images), CLASSES)
    assert (recommended.value, recommended.reason) == (value, reason)
