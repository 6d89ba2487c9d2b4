"""What a report is made of, as a run would have it; what shall differ is given by name."""

import numpy as np

from train.display.report.page import CostPicture, Picture

CLASSES = ("background", "scratch", "pit")


def class_figures(iou: float) -> dict:
    return {
        "iou": {"dataset": iou, "present": iou - 0.05, "union": iou - 0.1, "all": iou + 0.1},
        "dice": iou + 0.02,
        "precision": iou + 0.03,
        "recall": iou + 0.04,
    }


def evaluation(**changes) -> dict:
    figures = [class_figures(iou) for iou in (0.9, 0.6, 0.4)]
    found = {
        "images": 9,
        "headline": 0.5,
        "mean_with_background": 0.6333,
        "classes": dict(zip(CLASSES, figures, strict=True)),
    } | changes
    names = list(found["classes"])
    counts = dict.fromkeys(("labelled", "touched", "half", "false_alarms"), 0)
    sizes = dict.fromkeys(("1-15", "16-63", "64-255", "256-1023", "1024+"), counts)
    found = {
        "intervals": {
            "groups": 7,
            "headline": (0.412, 0.588),
            "classes": dict(zip(names, [(0.87, 0.93), (0.511, 0.689), None], strict=False)),
        },
        "confusion": [[9000, 1000, 0], [1, 9999, 0], [0, 0, 0]],
        "boundary": {
            name: {"share": 0.125, "recall": 0.25, "recall_inside": 0.75, "false_positives": None}
            for name in names
        },
        "components": {
            names[1]: sizes
            | {
                "16-63": {"labelled": 17, "touched": 13, "half": 11, "false_alarms": 5},
                "1024+": counts | {"labelled": 3},
            },
            **dict.fromkeys(names[2:], sizes),
        },
        **found,
    }
    return {
        "part": "test",
        "checkpoint": "best",
        "step": 60,
        **found,
        "image_level": {
            "images": 9,
            "any": {"positive": 5, "average_precision": 0.81, "interval": (0.62, 0.97)},
            "classes": {
                name: {"positive": 2, "average_precision": 0.43, "interval": (0.212, 0.658)}
                for name in names[1:]
            },
        },
        "decided": {
            "thresholds": dict(zip(names[1:], (0.731, 0.269), strict=False)),
            "minimum_areas": dict(zip(names[1:], (32, 1), strict=False)),
            **found,
        },
    }


def findings(**changes) -> dict:
    held = {"pixels": 0.9, "loss": 0.4, "gradient": 0.3}
    return {
        "thresholds": {"term": "balanced", "eps_inf": 0.3, "eps_sup": 0.7},
        "histogram": {"pixels": [0.05] * 20, "loss": [0.1] * 10 + [0.0] * 10, "gradient": [None] * 20},
        "error": dict.fromkeys(("easy", "critical", "hard"), held),
        "classes": dict.fromkeys(CLASSES, held),
        "boundary": dict.fromkeys(("boundary", "inside"), held),
        "boundary_to_inside": {"loss": 7.25, "gradient": None},
        "mask": {"balanced": {"background": 1.0, "scratch": 5.0, "pit": None}},
    } | changes


def row(epoch: int, **changes) -> dict:
    return {
        "step": 30 * epoch,
        "epoch": epoch,
        "progress": epoch / 3,
        "loss": 0.9 / epoch,
        "terms": {"balanced": 0.6 / epoch, "dice": 0.3 / epoch},
        "learning_rate": 1e-3,
        "seconds": 12.0,
        "images_per_second": 40.0,
        "validation": evaluation(),
        "findings": findings(),
    } | changes


def picture(name: str, iou: float = 0.5, size: tuple[int, int] = (48, 64), channels: int = 1) -> Picture:
    label = np.zeros(size, np.uint8)
    label[5:20, 7] = 1
    label[:9, 30:] = 255
    image = np.random.default_rng(0).integers(0, 255, (*size, channels)).astype(np.uint8)
    return Picture(name, image, label, np.where(label == 255, 2, label).astype(np.uint8), iou)


def cost_picture(name: str, size: tuple[int, int] = (48, 64)) -> CostPicture:
    _, image, label, *_ = picture(name, size=size)
    cost = np.random.default_rng(1).exponential(size=(40, 50))
    cost[:5] = np.nan
    return CostPicture(name, image, label, cost, np.where(np.isnan(cost), cost, 0.0))


CONFIG = {
    "@type": "train.config:Config",
    "objective": {
        "balanced": {
            "@type": "train.config:Term",
            "loss": {"@function": "balanced_jax.losses:balanced_loss"},
            "options": {
                "eps_sup": {
                    "@type": "train.config:Ramp",
                    "start": 1.0,
                    "end": 0.7,
                    "begin": 0.0,
                    "until": 1 / 3,
                }
            },
            "weights": None,
            "weights_options": {},
        }
    },
    "input": {"@type": "train.config:Input", "size": None, "crop": [64, 64]},
    "name": "<script>alert('config')</script>",
}
