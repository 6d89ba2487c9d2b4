"""What `stats configs/quickstart.py` draws."""

import tempfile
from pathlib import Path

from configs.quickstart import config
from train.data.prepare import prepare
from train.display.label_statistics import draw_statistics
from train.inspection.label_statistics import label_statistics


def write(folder: Path) -> None:
    """Write statistics.png into a folder."""
    with tempfile.TemporaryDirectory() as data_dir:
        statistics = label_statistics(prepare(config.data, data_dir=Path(data_dir)), config)
    draw_statistics(statistics).savefig(folder / "statistics.png")
