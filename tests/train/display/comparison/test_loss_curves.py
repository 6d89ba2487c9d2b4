"""The page of loss functions."""

import numpy as np
import pytest

from balanced_jax.losses import (
    dice_loss,
    sigmoid_focal_loss,
    softmax_cross_entropy,
    softmax_focal_loss,
    softmax_truncated_cross_entropy,
)
from balanced_jax.masks import balance_mask, class_weight_mask, inverse_weight_mask
from tests.train.display.pages.reading import assert_explained, links, words
from train.config import ImageRatio, Ramp, Term
from train.display.comparison.loss_curves import loss_charts, write_loss_curves
from train.errors import UserError

ERRORS = np.arange(1, 1000) / 1000
CROSS_ENTROPY = Term(softmax_cross_entropy)


def curves(term: Term) -> tuple[np.ndarray, np.ndarray]:
    """The loss and the magnitude of its derivative at each of `ERRORS`."""
    loss, slope = (np.array(chart.lines[0].values) for chart in loss_charts({"term": term}))
    return loss, slope


def test_cross_entropy_is_the_logarithm_of_one_minus_the_error():
    loss, slope = curves(CROSS_ENTROPY)
    np.testing.assert_allclose(loss, -np.log1p(-ERRORS), rtol=1e-4)
    np.testing.assert_allclose(slope, 1 / (1 - ERRORS), rtol=1e-4)


def test_the_focal_loss_follows_its_formula():
    loss, slope = curves(Term(softmax_focal_loss, options={"gamma": 2.0}))
    nll = -np.log1p(-ERRORS)
    np.testing.assert_allclose(loss, ERRORS**2 * nll, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(slope, 2 * ERRORS * nll + ERRORS**2 / (1 - ERRORS), rtol=1e-3, atol=1e-6)


def test_truncation_ends_both_sides_of_cross_entropy():
    term = Term(softmax_truncated_cross_entropy, options={"eps_inf": 0.2005, "eps_sup": 0.8005})
    loss, slope = curves(term)
    easy, hard = ERRORS < 0.2005, ERRORS > 0.8005
    assert not loss[easy].any()
    assert not slope[easy].any()
    np.testing.assert_allclose(slope[hard], 1 / (1 - 0.8005), rtol=1e-3)
    middle = ~easy & ~hard
    np.testing.assert_allclose(
        loss[middle], np.log((1 - 0.2005) / (1 - ERRORS[middle])), rtol=1e-3, atol=1e-5
    )


def test_a_ramp_counts_at_the_end_of_the_run():
    options = {"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7, until=0.5)}
    ramped = curves(Term(softmax_truncated_cross_entropy, scale=Ramp(5.0, 2.0), options=options))
    fixed = curves(Term(softmax_truncated_cross_entropy, options={"eps_inf": 0.3, "eps_sup": 0.7}))
    np.testing.assert_allclose(ramped, 2 * np.array(fixed), rtol=1e-6)


def test_masks_and_region_losses_have_curves():
    weighted = curves(Term(softmax_cross_entropy, weights=class_weight_mask))
    np.testing.assert_allclose(weighted, curves(CROSS_ENTROPY), rtol=1e-5)
    loss, slope = curves(Term(dice_loss))
    assert np.isfinite(loss).all()
    assert np.isfinite(slope).all()
    assert np.all(np.diff(loss) > 0)


def test_the_page_shows_every_term_in_both_charts(tmp_path):
    terms = {"cross-entropy": CROSS_ENTROPY, "<focal>": Term(softmax_focal_loss)}
    write_loss_curves(tmp_path / "curves.html", "figure 4", terms)
    page = (tmp_path / "curves.html").read_text(encoding="utf-8")
    assert words(page).startswith("figure 4 figure 4")
    assert page.count("<figure>") == 2
    assert words(page).count("cross-entropy <focal>") == 2
    assert all(link.startswith("#") for link in links(page))
    assert_explained(page)
    write_loss_curves(tmp_path / "again.html", "figure 4", terms)
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    "term", [CROSS_ENTROPY, Term(softmax_cross_entropy, scale=0.0)], ids=["infinite", "zero"]
)
def test_charts_are_drawn_for_losses_without_bound_and_without_height(term):
    for chart in loss_charts({"term": term}):
        assert chart.drawing.startswith("<svg viewBox=")


def test_masks_and_counted_class_weights_are_left_out():
    masked = Term(
        softmax_focal_loss,
        options={"gamma": 2.0, "alpha": ImageRatio()},
        weights=balance_mask,
        precomputed=inverse_weight_mask,
    )
    plain = Term(softmax_focal_loss, options={"gamma": 2.0})
    for chart in loss_charts({"masked": masked, "plain": plain}):
        values = [line.values for line in chart.lines]
        assert values[0] == pytest.approx(values[1])


def test_a_loss_of_several_classes_a_pixel_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^objective.several: .*labels"):
        loss_charts({"several": Term(sigmoid_focal_loss)})
