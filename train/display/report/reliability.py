"""Reliability diagrams: the fraction of pixels labeled as a class over its probability."""

from collections.abc import Mapping, Sequence

from train.display.pages.charts import DASHES, Chart, Line, draw_chart
from train.measures.calibration import FEWEST_PIXELS
from train.measures.records import Calibration


def reliability_diagrams(calibration: Mapping[str, Calibration], colors: Sequence[str]) -> list[Chart]:
    """Draw a diagram for each defect class, without the bins of too few pixels.

    Args:
        calibration: by defect class.
        colors: of the defect classes.
    """
    return [
        _diagram(name, row, color) for (name, row), color in zip(calibration.items(), colors, strict=False)
    ]


def _diagram(name: str, row: Calibration, color: str) -> Chart:
    kept = [i for i, pixels in enumerate(row.pixels) if pixels >= FEWEST_PIXELS]
    probabilities = [0.0, *(row.probability[i] or 0.0 for i in kept), 1.0]
    labeled = [None, *(row.fraction[i] for i in kept), None]
    return draw_chart(
        name,
        "probability",
        probabilities,
        [
            Line("fraction labeled as the class", labeled, color, points=True),
            Line("probability", probabilities, dash=DASHES[1]),
        ],
        top=1,
    )
