"""The objectives that are compared with each other; every config of the project can be run with any of them.

    python -m train fit configs/quickstart.py:cross_entropy

Each variant of the balanced loss changes what its name says and leaves the rest at the paper's numbers.
"""

import dataclasses
from typing import Any

from balanced_jax.losses import dice_loss, softmax_cross_entropy, softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask, class_weight_mask
from train.config import Config, Ramp, Term

CROSS_ENTROPY = Term(softmax_cross_entropy)
DICE = Term(dice_loss)

CLOSING = {"eps_inf": Ramp(0.0, 0.3, until=0.3), "eps_sup": Ramp(1.0, 0.7, until=0.3)}
"""Thresholds that begin as plain cross-entropy and arrive at the paper's when 30 % of the run are done."""
CLOSING_SLOWLY = {"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)}
"""The same, arriving at the end of the run."""
RELAXING = {"beta": 0.99, "power": Ramp(1.0, 0.0)}
"""Class weights that begin as the paper's and end at 1."""


def balanced(*, eps_inf: float | Ramp = 0.3, eps_sup: float | Ramp = 0.7, **mask: Any) -> Term:
    """The balanced loss with the paper's numbers, and other options of its mask."""
    return Term(
        softmax_truncated_cross_entropy,
        options={"eps_inf": eps_inf, "eps_sup": eps_sup},
        weights=balance_mask,
        weights_options={"beta": 0.99, "window": 7, **mask},
    )


def without_confusion_mask(thresholds: dict[str, Any]) -> Term:
    """The truncated loss under class weights alone, which relax to 1."""
    return Term(
        softmax_truncated_cross_entropy,
        options=thresholds,
        weights=class_weight_mask,
        weights_options=RELAXING,
    )


OBJECTIVES: dict[str, dict[str, Term]] = {
    "cross_entropy": {"cross_entropy": CROSS_ENTROPY},
    "dice": {"dice": DICE},
    "cross_entropy_dice": {"cross_entropy": CROSS_ENTROPY, "dice": DICE},
    "paper": {"balanced": balanced()},
    "pixel_counts": {"balanced": balanced(counting="pixels")},
    "window_3": {"balanced": balanced(window=3)},
    "beta_90": {"balanced": balanced(beta=0.9)},
    "thresholds_10_90": {"balanced": balanced(eps_inf=0.1, eps_sup=0.9)},
    "closing": {"balanced": balanced(**CLOSING)},
    "relaxing": {"balanced": balanced(**RELAXING)},
    "closing_relaxing": {"balanced": balanced(**CLOSING, **RELAXING)},
    "closing_relaxing_window_3": {"balanced": balanced(**CLOSING, **RELAXING, window=3)},
    "closing_relaxing_no_window": {"balanced": without_confusion_mask(CLOSING)},
    "slowly_closing_relaxing_no_window": {"balanced": without_confusion_mask(CLOSING_SLOWLY)},
    "paper_dice": {"balanced": balanced(), "dice": DICE},
    "preserve_class_mass": {"balanced": balanced(preserve_class_mass=True)},
}


def compared(config: Config) -> dict[str, Config]:
    """A config with each of the objectives, by name."""
    return {name: dataclasses.replace(config, objective=terms) for name, terms in OBJECTIVES.items()}
