"""The typed records of the shares of the loss, which metrics.jsonl holds.

A share is None where there is nothing to share. Dictionaries are keyed by class name unless said otherwise.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LossThresholds:
    """The errors that divide easy, critical and hard pixels."""

    term: str | None
    """The term of the objective that sets the thresholds; None for the thresholds of the paper."""
    eps_inf: float
    """Below this error a pixel is easy."""
    eps_sup: float
    """Above this error a pixel is hard."""


@dataclass(frozen=True)
class GroupShares:
    """Share of one group of pixels; shares of all groups sum to 1."""

    pixels: float | None
    """Share of the pixels."""
    loss: float | None
    """Share of the objective."""
    gradient: float | None
    """Share of the L1 norm of the gradient at the logits."""


@dataclass(frozen=True)
class HistogramShares:
    """Shares of equally wide ranges of the error, from error 0 to error 1."""

    pixels: list[float | None]
    """Share of the pixels in each range."""
    loss: list[float | None]
    """Share of the objective in each range."""
    gradient: list[float | None]
    """Share of the gradient in each range."""


@dataclass(frozen=True)
class DensityRatio:
    """Mean loss and gradient of a boundary pixel over those of a pixel inside."""

    loss: float | None
    """Ratio of the mean losses."""
    gradient: float | None
    """Ratio of the mean gradients."""


@dataclass(frozen=True)
class LossShares:
    """Shares of the objective and its gradient on the validation part, under four groupings of its pixels."""

    thresholds: LossThresholds
    """Thresholds at the end of the epoch."""
    histogram: HistogramShares
    """By range of the error."""
    error: dict[str, GroupShares]
    """Groups: easy, critical, hard."""
    classes: dict[str, GroupShares]
    """By class."""
    boundary: dict[str, GroupShares]
    """Groups: boundary, inside."""
    boundary_to_inside: DensityRatio
    """Ratio of a boundary pixel to one inside."""
    mask: dict[str, dict[str, float | None]]
    """By term that has a mask, then by class: the mean of the mask over the pixels of the class."""
