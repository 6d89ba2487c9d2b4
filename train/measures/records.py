"""The typed records of an evaluation and of an epoch: what evaluation.json and metrics.jsonl hold.

A figure is None where no image contributes to it. Dictionaries are keyed by class name.
"""

from dataclasses import dataclass, field
from typing import Any

from train.measures.loss_share_records import LossShares

LARGEST_COST = 1e9
"""Largest cost of an image, in any unit."""
LARGEST_MINIMUM_AREA = 4096
"""Largest minimum area that an evaluation chooses, in pixels."""

Interval = tuple[float, float]
"""Lower and upper end of a 95 % interval."""


@dataclass(frozen=True)
class IoUReadings:
    """The IoU of a class in each reading of `balanced_jax.metrics`."""

    dataset: float | None
    """Of the counts of all images together."""
    present: float | None
    """Mean over the images in which the class is labeled."""
    union: float | None
    """Mean over the images in which the class is labeled or predicted."""
    all: float | None
    """Mean over all images; 1 for an image without the class in label and prediction."""


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class; all but `iou` are over the data set."""

    iou: IoUReadings
    """Intersection over union."""
    dice: float | None
    """Dice coefficient."""
    precision: float | None
    """Fraction of the pixels predicted as the class that are labeled so."""
    recall: float | None
    """Fraction of the pixels labeled as the class that are predicted so."""


@dataclass(frozen=True)
class Figures:
    """Figures of one part of a data set under one decision rule."""

    images: int
    """Number of images."""
    headline: float | None
    """Data-set IoU, averaged over the defect classes."""
    mean_with_background: float | None
    """Data-set IoU, averaged over all classes."""
    classes: dict[str, ClassFigures]
    """By class, the background first."""


@dataclass(frozen=True)
class IoUIntervals:
    """Bootstrap intervals of data-set IoUs; None where fewer than two groups show the class."""

    groups: int
    """Number of groups that are resampled."""
    headline: Interval | None
    """Of the mean over the defect classes."""
    classes: dict[str, Interval | None]
    """By class."""


@dataclass(frozen=True)
class BoundaryFigures:
    """Pixels of one class that touch another class (on the boundary), and those inside."""

    fraction: float | None
    """Fraction of the class's labeled pixels that lie on the boundary."""
    recall: float | None
    """Recall of the boundary pixels."""
    recall_inside: float | None
    """Recall of the other pixels."""
    false_positives: float | None
    """Fraction of the class's false positives that lie on a boundary, of whichever classes."""


@dataclass(frozen=True)
class ComponentCounts:
    """Connected components of one class and one range of areas."""

    labeled: int
    """Labeled components."""
    touched: int
    """Labeled components with at least one pixel predicted as the class."""
    half: int
    """Labeled components with at least half of their pixels predicted as the class."""
    false_alarms: int
    """Predicted components that touch no pixel labeled as the class."""


@dataclass(frozen=True)
class Breakdown(Figures):
    """Figures with intervals, and where the errors are."""

    intervals: IoUIntervals
    """Intervals of the data-set IoUs."""
    confusion: list[list[int]]
    """Pixels by label (row) and prediction (column)."""
    boundary: dict[str, BoundaryFigures]
    """By class."""
    components: dict[str, dict[str, ComponentCounts]]
    """By defect class, then by range of the area in pixels."""


@dataclass(frozen=True)
class DecisionRule:
    """Decision thresholds and minimum areas, by defect class in the order of the class ids."""

    thresholds: dict[str, float]
    """Probability above which a pixel may be of the defect class."""
    minimum_areas: dict[str, int]
    """Pixels below which a connected component of the defect class becomes background."""

    def __post_init__(self):
        if list(self.minimum_areas) != list(self.thresholds):
            names = (", ".join(chosen) for chosen in (self.minimum_areas, self.thresholds))
            raise ValueError("minimum_areas: are of {}, the thresholds of {}".format(*names))
        for name, threshold in self.thresholds.items():
            if not 0 < threshold < 1:
                raise ValueError(f"thresholds.{name}: is {threshold}, takes a number between 0 and 1")
        for name, area in self.minimum_areas.items():
            if not 1 <= area <= LARGEST_MINIMUM_AREA:
                raise ValueError(f"minimum_areas.{name}: is {area}, takes 1 to {LARGEST_MINIMUM_AREA}")


@dataclass(frozen=True)
class DecidedBreakdown(Breakdown):
    """The breakdown under decision thresholds and minimum areas."""

    thresholds: dict[str, float]
    """Probability above which a pixel may be of the defect class."""
    minimum_areas: dict[str, int]
    """Pixels below which a connected component of the defect class becomes background."""

    def __post_init__(self):
        defects = list(self.classes)[1:]
        for name, chosen in (("thresholds", self.thresholds), ("minimum_areas", self.minimum_areas)):
            if set(chosen) != set(defects):
                raise ValueError(f"{name}: is of {', '.join(chosen)}, takes {', '.join(defects)}")
        _ = self.rule  # which checks the numbers

    @property
    def rule(self) -> DecisionRule:
        """The decision rule, in the order of the class ids."""
        defects = list(self.classes)[1:]
        return DecisionRule(
            {name: self.thresholds[name] for name in defects},
            {name: self.minimum_areas[name] for name in defects},
        )


@dataclass(frozen=True)
class Costs:
    """What wrong decisions over whole images cost, in any unit; a rule may be chosen for the lowest total."""

    miss: float
    """Cost of an image that is wrongly passed."""
    false_alarm: float
    """Cost of an image that is wrongly scrapped."""

    def __post_init__(self):
        for name, cost in vars(self).items():
            if not 0 < cost <= LARGEST_COST:
                raise ValueError(
                    f"costs.{name}: is {cost}, takes a number above 0 and up to {LARGEST_COST:.0e}"
                )

    def total(self, wrongly_passed: Any, wrongly_scrapped: Any) -> Any:
        """Return the total cost of numbers of images, or of arrays of them."""
        return self.miss * wrongly_passed + self.false_alarm * wrongly_scrapped


@dataclass(frozen=True)
class DefectFigures:
    """Figures of one defect class under a decision rule; pixels over the data set."""

    iou: float | None
    """Data-set IoU."""
    precision: float | None
    """Fraction of the pixels predicted as the class that are labeled so."""
    recall: float | None
    """Fraction of the pixels labeled as the class that are predicted so."""
    found: int
    """Labeled components with at least one pixel predicted as the class."""
    missed: int
    """Labeled components without."""
    false_alarms: int
    """Predicted components that touch no pixel labeled as the class."""


@dataclass(frozen=True)
class DecisionFigures:
    """Figures of one part under a decision rule, pixel by pixel, defect by defect and image by image.

    An image is scrapped if a component of any defect class remains after the minimum areas. Images without
    a labeled pixel count nowhere.
    """

    headline: float | None
    """Data-set IoU, averaged over the defect classes."""
    classes: dict[str, DefectFigures]
    """By defect class."""
    defective: int
    """Images in which a defect is labeled."""
    wrongly_passed: int
    """Those of them that are not scrapped."""
    clean: int
    """Images in which no defect is labeled."""
    wrongly_scrapped: int
    """Those of them that are scrapped."""

    def __post_init__(self):
        for name, most in (("wrongly_passed", self.defective), ("wrongly_scrapped", self.clean)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name}: is {getattr(self, name)}, takes 0 to {most}")


@dataclass(frozen=True)
class RankingFigures:
    """How well images with a defect are told from those without."""

    positive: int
    """Images that show the defect."""
    average_precision: float | None
    """Area under the stepwise precision-recall curve."""
    interval: Interval | None
    """Bootstrap interval of the average precision."""


@dataclass(frozen=True)
class ImageLevel:
    """Images ranked by the most confident pixel."""

    images: int
    """Images with at least one labeled pixel."""
    any_defect: RankingFigures
    """Images with any defect against those without."""
    classes: dict[str, RankingFigures]
    """By defect class: images that show the class against those that do not."""


@dataclass(frozen=True)
class Calibration:
    """Probability of a defect class against the fraction of pixels labeled so, by bin of the probability.

    The 20 bins are equally wide, from probability 0 to 1. Void pixels are left out, and so are those whose
    probability is NaN.
    """

    pixels: list[int]
    """Pixels in each bin."""
    probability: list[float | None]
    """Mean probability of the class in each bin; None in an empty one."""
    fraction: list[float | None]
    """Fraction of the pixels of each bin that are labeled as the class; None in an empty one."""
    expected_error: float | None
    """Expected calibration error: mean over the pixels of the distance of probability and fraction."""
    average_error: float | None
    """Average calibration error: mean of the distance over the bins of at least 100 pixels."""


@dataclass(frozen=True)
class Evaluation(Breakdown):
    """The evaluation of a checkpoint on one part; the inherited breakdown is of the most probable classes."""

    part: str
    """"test", "validation" or "train"."""
    checkpoint: str
    """"best" or "latest"."""
    step: int
    """Training steps that led to the checkpoint."""
    image_level: ImageLevel
    """Ranking of the images."""
    decided: DecidedBreakdown
    """The same under decision thresholds and minimum areas chosen for the largest IoU of the validation part.
    """
    chosen: DecidedBreakdown | None = None
    """The same under the thresholds and minimum areas that a person has chosen; None without any."""
    calibration: dict[str, Calibration] = field(default_factory=dict)
    """By defect class; empty in a file of a version that did not measure it."""


@dataclass(frozen=True)
class EpochRecord:
    """One line of metrics.jsonl."""

    step: int
    """Training steps taken so far."""
    epoch: int
    """Counted from 1."""
    loss: float
    """Mean training loss of the epoch's finite steps, the sum of `terms`."""
    terms: dict[str, float]
    """Mean of each term, by name."""
    learning_rate: float
    """Learning rate of the last step."""
    seconds: float
    """Duration of the training steps."""
    images_per_second: float
    """Training images per second of these steps."""
    validation: Figures
    """Figures of the validation part."""
    loss_shares: LossShares
    """Where the objective and its gradient fall."""
