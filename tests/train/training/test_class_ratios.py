"""Ratios in an objective: counted by hand, in every place that an option has, on the training part alone."""

import numpy as np
import pytest

from balanced_jax.losses import softmax_cross_entropy, softmax_focal_loss
from balanced_jax.masks import fixed_class_weights
from train.config import ImageRatio, PixelRatio, PixelShare, Term
from train.data.example import VOID
from train.errors import UserError
from train.training.class_ratios import ratio_numbers, resolve_ratios

CLASSES = ("background", "scratch", "pit")
PRESENT = [(0,)] * 6 + [(0, 1), (0, 1, 2), (1, 2), ()]
"""Ten images: three with a scratch, two with a pit, one without the background, one void."""


def labels():
    """Eight pixels of background, four of scratch and one of pit in two images; others are void."""
    first = np.full((4, 5), VOID, np.uint8)
    first[:2, :4] = 0
    second = np.full((3, 3), VOID, np.uint8)
    second.flat[:4] = 1
    second[2, 2] = 2
    yield from (first, second)


def never():
    raise AssertionError("labels were read")
    yield


def weighted(ratio) -> Term:
    return Term(softmax_cross_entropy, weights=fixed_class_weights, weights_options={"values": ratio})


def resolved(objective, labels):
    return resolve_ratios(objective, CLASSES, PRESENT, labels)


def test_the_ratio_of_images_is_those_without_the_class_over_those_with_it():
    assert resolved({"a": weighted(ImageRatio())}, never()) == {"a": weighted((1.0, 7 / 3, 8 / 2))}


def test_a_class_in_one_of_ten_images_has_the_papers_nine():
    of_one = resolve_ratios(
        {"a": weighted(ImageRatio())}, ("background", "defect"), [(0,)] * 9 + [(0, 1)], never()
    )
    assert of_one["a"].weights_options == {"values": (1.0, 9.0)}


def test_the_ratio_of_pixels_is_all_other_labeled_pixels_over_those_of_the_class():
    assert resolved({"a": weighted(PixelRatio())}, labels()) == {"a": weighted((1.0, 9 / 4, 12 / 1))}


def test_the_shares_of_pixels_are_those_of_all_labels_together():
    shares = resolved({"a": weighted(PixelShare())}, labels())["a"].weights_options["values"]
    of_ratios = resolved({"a": weighted(PixelRatio())}, labels())["a"].weights_options["values"]
    assert sum(shares) == pytest.approx(1)
    assert [(1 - share) / share for share in shares[1:]] == pytest.approx(of_ratios[1:])
    full = [np.ones((4, 4), np.uint8)]
    of_full = resolve_ratios({"a": weighted(PixelShare())}, CLASSES[:2], [(1,)], full)
    assert of_full["a"].weights_options == {"values": (1 / 17, 16 / 17)}


def test_no_ratio_is_below_1():
    """A class in every image, or with most of the pixels, weighs as the background."""
    always = [(0, 1)] * 3
    full = np.ones((4, 4), np.uint8)
    for ratio in (ImageRatio(), PixelRatio()):
        result = resolve_ratios({"a": weighted(ratio)}, CLASSES[:2], always, [full])
        assert result["a"].weights_options == {"values": (1.0, 1.0)}


def test_every_option_may_be_a_ratio_and_labels_are_read_once():
    ratios = {"values": PixelRatio()}
    objective = {
        "first": Term(
            softmax_focal_loss,
            options={"gamma": 2.0, "alpha": ImageRatio()},
            weights=fixed_class_weights,
            weights_options=ratios,
        ),
        "second.term": Term(
            softmax_cross_entropy, precomputed=fixed_class_weights, precomputed_options=ratios
        ),
        "plain": Term(softmax_cross_entropy),
    }
    result = resolved(objective, labels())
    by_image, by_pixel = (1.0, 7 / 3, 4.0), (1.0, 9 / 4, 12.0)
    assert result["first"].options == {"gamma": 2.0, "alpha": by_image}
    assert (
        result["first"].weights_options == result["second.term"].precomputed_options == {"values": by_pixel}
    )
    assert result["plain"] == objective["plain"]
    assert ratio_numbers(objective, result) == {
        "first.options.alpha": by_image,
        "first.weights_options.values": by_pixel,
        "second.term.precomputed_options.values": by_pixel,
    }
    assert ratio_numbers(result, result) == {}


@pytest.mark.parametrize("ratio", [ImageRatio(), PixelRatio(), PixelShare()])
def test_a_class_that_no_training_image_shows_is_named(ratio):
    message = (
        rf"^objective\.a\.weights_options\.values: {type(ratio).__name__} has no number for the class pit, "
        "which no training image shows; move images of it to the training part, .* or give 3 numbers"
    )
    with pytest.raises(UserError, match=message):
        resolve_ratios({"a": weighted(ratio)}, CLASSES, [(0,), (0, 1)], labels())
    resolve_ratios({"a": weighted((1.0, 2.0, 3.0))}, CLASSES, [(0,), (0, 1)], never())
    resolve_ratios({"a": weighted(ratio)}, CLASSES, [(1,), (2,)], labels())  # no background
