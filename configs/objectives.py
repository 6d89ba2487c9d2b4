"""The objectives to compare; every config of the project can be run with any of them.

    python -m train fit configs/quickstart.py:cross_entropy

The losses that the paper compares with come first, then the balanced loss and its parts. A variant of the
balanced loss changes the option in its name and keeps the paper's numbers for all others.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from balanced_jax.logits import adjust_logits, penalize_neighbors
from balanced_jax.losses import (
    dice_loss,
    dice_loss_with_probabilities,
    generalized_cross_entropy,
    lovasz_softmax_loss,
    softmax_cross_entropy,
    softmax_cross_entropy_with_probabilities,
    softmax_focal_loss,
    softmax_truncated_cross_entropy,
    tversky_loss,
)
from balanced_jax.masks import (
    balance_mask,
    class_weight_mask,
    confusion_mask,
    fixed_class_weights,
    inverse_weight_mask,
    skeleton_mask,
)
from balanced_jax.targets import label_shares
from train.config import Config, ImageRatio, PixelRatio, PixelShare, Ramp, Term

CROSS_ENTROPY = Term(softmax_cross_entropy)
DICE = Term(dice_loss)
TRUNCATION = Term(softmax_truncated_cross_entropy, options={"eps_inf": 0.3, "eps_sup": 0.7})

CLOSING = {"eps_inf": Ramp(0.0, 0.3, until=0.3), "eps_sup": Ramp(1.0, 0.7, until=0.3)}
"""Thresholds that ramp from 0 and 1, plain cross-entropy, to the paper's over the first 30 % of the run."""
SLOWLY_CLOSING = {"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)}
"""Thresholds that ramp from 0 and 1, plain cross-entropy, to the paper's over the whole run."""
RELAXING = {"beta": 0.99, "power": Ramp(1.0, 0.0)}
"""Class weights that ramp from the paper's to 1 over the whole run."""


def smoothed_cross_entropy(logits, labels, *, weights=None, window=3):
    """Compute cross-entropy with the label shares of the window as targets."""
    targets = label_shares(labels, logits.shape[-1], window=window)
    return softmax_cross_entropy_with_probabilities(logits, targets, weights=weights)


def smoothed_dice(logits, labels, *, weights=None, window=3):
    """Compute Dice loss with the label shares of the window as targets."""
    targets = label_shares(labels, logits.shape[-1], window=window)
    return dice_loss_with_probabilities(logits, targets, weights=weights)


def worst_neighbor_cross_entropy(logits, labels, *, weights=None, window=3):
    """Compute cross-entropy of the worst logits in the window."""
    return softmax_cross_entropy(penalize_neighbors(logits, labels, window=window), labels, weights=weights)


def worst_neighbor_dice(logits, labels, *, weights=None, window=3):
    """Compute Dice loss of the worst logits in the window."""
    return dice_loss(penalize_neighbors(logits, labels, window=window), labels, weights=weights)


def adjusted_cross_entropy(logits, labels, *, weights=None, class_frequencies, tau=1.0):
    """Compute cross-entropy of logits adjusted by the frequencies of the classes."""
    return softmax_cross_entropy(adjust_logits(logits, class_frequencies, tau=tau), labels, weights=weights)


def weighted(term: Term, mask: Callable, **options: Any) -> Term:
    """Return a term under a mask."""
    return dataclasses.replace(term, weights=mask, weights_options=options)


def balanced_term(*, eps_inf: float | Ramp = 0.3, eps_sup: float | Ramp = 0.7, **mask_options: Any) -> Term:
    """Return the balanced loss; thresholds and mask options default to the paper's numbers."""
    term = Term(softmax_truncated_cross_entropy, options={"eps_inf": eps_inf, "eps_sup": eps_sup})
    return weighted(term, balance_mask, **{"beta": 0.99, "window": 7, **mask_options})


def class_weighted_term(thresholds: dict[str, Any]) -> Term:
    """Return the truncated loss under class weights that relax to 1, without the confusion mask."""
    return weighted(Term(softmax_truncated_cross_entropy, options=thresholds), class_weight_mask, **RELAXING)


def focal_term(gamma: float) -> Term:
    """Return the focal loss with the paper's rule for alpha."""
    return Term(softmax_focal_loss, options={"gamma": gamma, "alpha": ImageRatio()})


OBJECTIVES: dict[str, dict[str, Term]] = {
    "cross_entropy": {"cross_entropy": CROSS_ENTROPY},
    "weighted_cross_entropy": {
        "cross_entropy": weighted(CROSS_ENTROPY, fixed_class_weights, values=ImageRatio())
    },
    # Where every image shows a class, the ratio of images is 1; the ratio of pixels is not.
    "weighted_cross_entropy_pixels": {
        "cross_entropy": weighted(CROSS_ENTROPY, fixed_class_weights, values=PixelRatio())
    },
    "focal_2": {"focal": focal_term(2.0)},
    "focal_4": {"focal": focal_term(4.0)},
    "dice": {"dice": DICE},
    "lovasz": {"lovasz": Term(lovasz_softmax_loss)},
    # By the components of whole images, before they are cropped.
    "inverse_weighting": {"cross_entropy": Term(softmax_cross_entropy, precomputed=inverse_weight_mask)},
    "cross_entropy_dice": {"cross_entropy": CROSS_ENTROPY, "dice": DICE},
    # Rivals that the paper does not compare with.
    "skeleton_recall": {
        "cross_entropy": CROSS_ENTROPY,
        "dice": DICE,
        "skeleton": Term(tversky_loss, options={"alpha": 1e-6, "beta": 1.0}, precomputed=skeleton_mask),
    },
    "smoothed": {"cross_entropy": Term(smoothed_cross_entropy), "dice": Term(smoothed_dice)},
    "worst_neighbors": {
        "cross_entropy": Term(worst_neighbor_cross_entropy),
        "dice": Term(worst_neighbor_dice),
    },
    "generalized_cross_entropy": {"generalized_cross_entropy": Term(generalized_cross_entropy)},
    "adjusted_logits": {
        "cross_entropy": Term(adjusted_cross_entropy, options={"class_frequencies": PixelShare()})
    },
    "paper": {"balanced": balanced_term()},
    "truncation": {"truncation": TRUNCATION},
    "class_weights": {"cross_entropy": weighted(CROSS_ENTROPY, class_weight_mask, beta=0.99)},
    "confusion": {"cross_entropy": weighted(CROSS_ENTROPY, confusion_mask, window=7)},
    "class_weights_confusion": {"cross_entropy": weighted(CROSS_ENTROPY, balance_mask, beta=0.99, window=7)},
    "truncation_class_weights": {"truncation": weighted(TRUNCATION, class_weight_mask, beta=0.99)},
    "truncation_confusion": {"truncation": weighted(TRUNCATION, confusion_mask, window=7)},
    "pixel_counts": {"balanced": balanced_term(counting="pixels")},
    "window_3": {"balanced": balanced_term(window=3)},
    "beta_90": {"balanced": balanced_term(beta=0.9)},
    "thresholds_10_90": {"balanced": balanced_term(eps_inf=0.1, eps_sup=0.9)},
    "closing": {"balanced": balanced_term(**CLOSING)},
    "relaxing": {"balanced": balanced_term(**RELAXING)},
    "closing_relaxing": {"balanced": balanced_term(**CLOSING, **RELAXING)},
    "closing_relaxing_window_3": {"balanced": balanced_term(**CLOSING, **RELAXING, window=3)},
    "closing_relaxing_no_window": {"balanced": class_weighted_term(CLOSING)},
    "slowly_closing_relaxing_no_window": {"balanced": class_weighted_term(SLOWLY_CLOSING)},
    "paper_dice": {"balanced": balanced_term(), "dice": DICE},
    "preserve_class_mass": {"balanced": balanced_term(preserve_class_mass=True)},
}


def vary_objective(config: Config) -> dict[str, Config]:
    """Return a copy of a config for each objective, by name of the objective."""
    return {name: dataclasses.replace(config, objective=terms) for name, terms in OBJECTIVES.items()}
