"""The comparisons of the paper, each by one command; for an accelerator.

    python -m train compare configs/paper.py:table_3 --source DIR_WITH_SEVERSTAL
    python -m train compare configs/paper.py:table_5 --data.images DIR --data.masks DIR
    python -m train curves configs/paper.py:figure_4

Figures 1, 2 and 7 take KolektorSDD2; figure 9 and tables 3 and 4 Severstal; figure 11 and tables 5 and 6 the
aluminum profiles, which are private, or a folder of your own. Figures 1 and 2 are the charts of the loss shares
in the report of their one cell. `--seeds 0 1 2` repeats each cell, `--commands` prints them for many machines.
"""

import dataclasses
from typing import Any

from balanced_jax.losses import softmax_cross_entropy, softmax_focal_loss, softmax_truncated_cross_entropy
from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from configs.aluminium import config as aluminium
from configs.kolektor_sdd2 import config as kolektor_sdd2
from configs.objectives import OBJECTIVES
from configs.severstal import config as severstal
from train.comparison.definition import Comparison
from train.config import Config, Term

NETWORKS = {
    "FCN": FCN8s(),
    "U-Net": UNet(),
    "SegNet": SegNet(),
    "DeepLabV3": DeepLabV3(),
    "PSPNet": PSPNet(),
}
OF_TABLES = ("cross_entropy", "weighted_cross_entropy", "focal_2", "focal_4", "dice", "paper")
# Where every image shows a class, the paper's rule by images says nothing: the rule by pixels has its own row.
OF_FIGURES = (*OF_TABLES, "weighted_cross_entropy_pixels", "inverse_weighting", "lovasz")

DELTAS = {
    str(delta): {
        "objective.balanced.options.eps_inf": round(0.5 - delta, 1),
        "objective.balanced.options.eps_sup": round(0.5 + delta, 1),
    }
    for delta in (0.1, 0.2, 0.3, 0.4, 0.5)
}
"""Thresholds .5 - delta and .5 + delta; at .5 the truncated loss is cross-entropy."""
BETAS = (0.0, 0.9, 0.99, 0.999)
"""At 0 every class weighs 1."""


def _objectives(base: Config, names: tuple[str, ...], **options: Any) -> Comparison:
    objectives = {name: OBJECTIVES[name] for name in names}
    return Comparison(base, objectives=objectives, reference="cross_entropy", **options)


def _grid(base: Config, published: dict[float, tuple[float, ...]]) -> Comparison:
    """Return the comparison of delta and beta, with the mean IoUs of the paper by delta."""
    figures = {
        f"delta {delta}, beta {beta}": figure
        for delta, row in published.items()
        for beta, figure in zip(BETAS, row, strict=True)
    }
    vary = {"delta": DELTAS, "objective.balanced.weights_options.beta": BETAS}
    return Comparison(dataclasses.replace(base, objective=OBJECTIVES["paper"]), vary=vary, published=figures)


comparisons = {
    "figure_1": _objectives(kolektor_sdd2, ("cross_entropy",)),
    "figure_2": _objectives(kolektor_sdd2, ("cross_entropy",)),
    "figure_7": _objectives(kolektor_sdd2, OF_FIGURES, models=NETWORKS),
    "figure_9": _objectives(severstal, OF_FIGURES, models=NETWORKS),
    "figure_11": _objectives(aluminium, OF_FIGURES, models=NETWORKS),
    "table_3": _objectives(
        severstal,
        OF_TABLES,
        published=dict(zip(OF_TABLES, (0.65, 0.59, 0.70, 0.75, 0.69, 0.87), strict=True)),
    ),
    "table_4": _grid(
        severstal,
        {
            0.1: (0.73, 0.73, 0.82, 0.79),
            0.2: (0.70, 0.70, 0.87, 0.86),
            0.3: (0.70, 0.69, 0.86, 0.83),
            0.4: (0.69, 0.70, 0.78, 0.79),
            0.5: (0.60, 0.62, 0.65, 0.65),
        },
    ),
    "table_5": _objectives(
        aluminium,
        OF_TABLES,
        published=dict(zip(OF_TABLES, (0.61, 0.64, 0.70, 0.68, 0.72, 0.82), strict=True)),
    ),
    "table_6": _grid(
        aluminium,
        {
            0.1: (0.63, 0.72, 0.80, 0.76),
            0.2: (0.70, 0.78, 0.82, 0.79),
            0.3: (0.68, 0.75, 0.81, 0.76),
            0.4: (0.68, 0.73, 0.79, 0.75),
            0.5: (0.65, 0.65, 0.70, 0.68),
        },
    ),
}

# Costs over the error of a pixel, from the formulas alone: `curves`.
configs = {
    "figure_4": dataclasses.replace(
        severstal,
        objective={
            "cross-entropy": Term(softmax_cross_entropy),
            "focal, gamma 2": Term(softmax_focal_loss, options={"gamma": 2.0}),
            "focal, gamma 4": Term(softmax_focal_loss, options={"gamma": 4.0}),
            "truncated, .2 and .8": Term(
                softmax_truncated_cross_entropy, options={"eps_inf": 0.2, "eps_sup": 0.8}
            ),
            "truncated, .4 and .6": Term(
                softmax_truncated_cross_entropy, options={"eps_inf": 0.4, "eps_sup": 0.6}
            ),
        },
    )
}
