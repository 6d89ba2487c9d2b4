"""Records as a run would have them, for tests of what reads them; arguments change single fields."""

import numpy as np

from train.inspection.label_statistics import (
    ClassStatistics,
    ClassWeighting,
    ComponentStatistics,
    InputStatistics,
    LabelStatistics,
    PartStatistics,
    SizeStatistics,
)
from train.inspection.muting import ClassMuting, Muting
from train.inspection.recommendations import Recommendation, Recommendations
from train.measures.loss_share_records import (
    DensityRatio,
    GroupShares,
    HistogramShares,
    LossShares,
    LossThresholds,
)
from train.measures.records import (
    BoundaryFigures,
    Breakdown,
    Calibration,
    ClassFigures,
    ComponentCounts,
    DecidedBreakdown,
    DecisionFigures,
    DecisionRule,
    DefectFigures,
    EpochRecord,
    Evaluation,
    Figures,
    ImageLevel,
    IoUIntervals,
    IoUReadings,
    RankingFigures,
)

CLASSES = ("background", "scratch", "pit")
NO_FIGURES = ClassFigures(IoUReadings(None, None, None, None), None, None, None)
_RANGES = ("1-15", "16-63", "64-255", "256-1023", "1024+")


def class_figures(iou: float) -> ClassFigures:
    """Figures of one class, all different."""
    return ClassFigures(
        iou=IoUReadings(dataset=iou, present=iou - 0.05, union=iou - 0.1, all=iou + 0.1),
        dice=iou + 0.02,
        precision=iou + 0.03,
        recall=iou + 0.04,
    )


def figures(names=CLASSES, **changes) -> Figures:
    """Figures of classes whose data-set IoUs are 0.9, 0.6, 0.4 and then 0.5."""
    values: dict = {
        "images": 9,
        "headline": 0.5,
        "mean_with_background": 0.6333,
        "classes": {
            name: class_figures(iou)
            for name, iou in zip(names, (0.9, 0.6, 0.4, *[0.5] * len(names)), strict=False)
        },
    }
    return Figures(**values | changes)


def breakdown(names=CLASSES, **changes) -> Breakdown:
    """A breakdown that has pixels and components of the first defect class alone."""
    none = ComponentCounts(labeled=0, touched=0, half=0, false_alarms=0)
    defect, *others = names[1:]
    known = [(0.87, 0.93), (0.511, 0.689), *[None] * len(names)]
    values: dict = vars(figures(names)) | {
        "intervals": IoUIntervals(
            groups=7, headline=(0.412, 0.588), classes=dict(zip(names, known, strict=False))
        ),
        "confusion": [
            [*row, *[0] * (len(names) - 2)] for row in ([9000, 1000], [1, 9999], *[[0, 0]] * (len(names) - 2))
        ],
        "boundary": {name: BoundaryFigures(0.125, 0.25, 0.75, None) for name in names},
        "components": {
            defect: dict.fromkeys(_RANGES, none)
            | {"16-63": ComponentCounts(17, 13, 11, 5), "1024+": ComponentCounts(3, 0, 0, 0)},
            **{name: dict.fromkeys(_RANGES, none) for name in others},
        },
    }
    return Breakdown(**values | changes)


def calibration() -> Calibration:
    """Calibration of a class that is predicted too seldom; the last bin has too few pixels, others none."""
    return Calibration(
        pixels=[9000, 500, *[0] * 17, 99],
        probability=[0.01, 0.075, *[None] * 17, 0.96],
        fraction=[0.02, 0.1, *[None] * 17, 0.5],
        expected_error=0.0162,
        average_error=0.0175,
    )


def evaluation(names=CLASSES, **changes) -> Evaluation:
    """An evaluation whose breakdown under the decision thresholds has the same numbers."""
    overrides = {
        field: changes.pop(field)
        for field in ("part", "checkpoint", "step", "image_level", "calibration")
        if field in changes
    }
    shared = vars(breakdown(names, **changes))
    ranking = RankingFigures(positive=2, average_precision=0.43, interval=(0.212, 0.658))
    values: dict = {
        "part": "test",
        "checkpoint": "best",
        "step": 60,
        "image_level": ImageLevel(
            images=9,
            any_defect=RankingFigures(positive=5, average_precision=0.81, interval=(0.62, 0.97)),
            classes=dict.fromkeys(names[1:], ranking),
        ),
        "decided": DecidedBreakdown(
            **shared,
            thresholds=dict(zip(names[1:], (0.731, *[0.269] * len(names)), strict=False)),
            minimum_areas=dict(zip(names[1:], (32, *[1] * len(names)), strict=False)),
        ),
        "calibration": {},  # without charts, whose drawing takes most of the time of a report
    }
    return Evaluation(**shared, **values | overrides)


def decision_rule(names=CLASSES) -> DecisionRule:
    """A rule with another threshold and area for the first defect class."""
    defects = names[1:]
    return DecisionRule(
        dict(zip(defects, (0.321, *[0.456] * len(defects)), strict=False)),
        dict(zip(defects, (64, *[2] * len(defects)), strict=False)),
    )


def decision_figures(names=CLASSES, **changes) -> DecisionFigures:
    """Figures of a decision with equal numbers for each defect class."""
    row = DefectFigures(iou=0.61, precision=0.72, recall=0.83, found=17, missed=4, false_alarms=6)
    values: dict = {
        "headline": 0.61,
        "classes": dict.fromkeys(names[1:], row),
        "defective": 11,
        "wrongly_passed": 2,
        "clean": 13,
        "wrongly_scrapped": 3,
    }
    return DecisionFigures(**values | changes)


def loss_shares(names=CLASSES, **changes) -> LossShares:
    """Loss shares that are equal in all groups; the last class has no pixels."""
    group = GroupShares(pixels=0.9, loss=0.4, gradient=0.3)
    values: dict = {
        "thresholds": LossThresholds("balanced", eps_inf=0.3, eps_sup=0.7),
        "histogram": HistogramShares([0.05] * 20, [*[0.1] * 10, *[0.0] * 10], [None] * 20),
        "error": dict.fromkeys(("easy", "critical", "hard"), group),
        "classes": dict.fromkeys(names, group),
        "boundary": dict.fromkeys(("boundary", "inside"), group),
        "boundary_to_inside": DensityRatio(loss=7.25, gradient=None),
        "mask": {"balanced": dict(zip(names, (1.0, *[5.0] * (len(names) - 2), None), strict=True))},
    }
    return LossShares(**values | changes)


def epoch_record(epoch: int, names=CLASSES, **changes) -> EpochRecord:
    """A record of an epoch of 30 steps, with two terms."""
    values: dict = {
        "step": 30 * epoch,
        "epoch": epoch,
        "loss": 0.9 / epoch,
        "terms": {"balanced": 0.6 / epoch, "dice": 0.3 / epoch},
        "learning_rate": 1e-3,
        "seconds": 12.0,
        "images_per_second": 40.0,
        "validation": figures(names),
        "loss_shares": loss_shares(names),
    }
    return EpochRecord(**values | changes)


def muting(names=CLASSES, *, window: int | None = 3, rescaled: float = 0.72) -> Muting:
    """Muting with equal numbers for each class."""
    masks = (None, None) if window is None else (0.88, rescaled)
    return Muting(window, images=16, classes={name: ClassMuting(11, 0.000123, *masks) for name in names})


def label_statistics(names=CLASSES) -> LabelStatistics:
    """Label statistics in which the last class is absent."""
    background, *defects, absent = names
    components = ComponentStatistics(21, (4.0, 40.0, 12345.0), (1.0, 3.0, 9.0), (2.0, 20.0, 200.0))
    weighting = ClassWeighting({"0.0": 1.0, "0.9": 3.5}, {"3": 0.9, "5": 0.8}, {"3": 0.7, "5": 0.4})
    no_weighting = ClassWeighting({"0.0": None, "0.9": None}, {"3": None, "5": None}, {"3": None, "5": None})
    return LabelStatistics(
        parts={name: PartStatistics(images=16, defective=12) for name in ("train", "validation", "test")},
        sizes=SizeStatistics(smallest=(30, 50), median=(40.0, 60.5), largest=(40, 60), distinct=2),
        boundary_fraction=0.0625,
        classes={
            background: ClassStatistics(48, 1.0, 0.987, 0.99, 0.01, None),
            **dict.fromkeys(defects, ClassStatistics(12, 0.75, 0.012345, 0.0165, 0.3, components)),
            absent: ClassStatistics(0, 0.0, 0.0, None, None, None),
        },
        at_input_size=InputStatistics(
            size=(32, 48),
            beta=0.9,
            window=None,
            classes=dict.fromkeys(names, weighting) | {absent: no_weighting},
        ),
        recommended=Recommendations(
            objective=Recommendation("paper", "a reason"),
            beta=Recommendation(0.9, "another reason"),
            window=Recommendation(3, "a third reason"),
            crop=Recommendation((32, 64), "a fourth reason"),
            inject=Recommendation(None, "a fifth reason"),
        ),
    )


def label(size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A label image with a line of class 1 and a void corner."""
    classes = np.zeros(size, np.uint8)
    classes[5:20, 7] = 1
    classes[:9, 30:] = 255
    return classes
