"""`python -m train stats`: statistics of the labels of a data set, and options that suit them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from train.commands.command import ConfigCommand
from train.data.cache import ExampleCache
from train.data.injection import Donors
from train.data.prepare import Part, prepare
from train.display.injection import draw_injected
from train.display.label_statistics import draw_statistics, statistics_tables
from train.errors import ANOTHER_OUT, writing
from train.inspection.label_statistics import label_statistics
from train.run.files import write_json
from train.run.log import console
from train.training.objective import check_objective

_INJECTED_IMAGES = 6


@dataclass(frozen=True, kw_only=True)
class Stats(ConfigCommand):
    """Measure class ratios, sizes, boundaries and masks of the labels, and recommend options.

    The tables are printed; statistics.json holds their figures, and statistics.png draws them. Where
    the config injects defects, injected.png shows a few images before and after.
    """

    usage: ClassVar[str] = "CONFIG [--out DIR] [--section.field value ...]"

    out: Path = Path("statistics")
    """Folder of the files."""

    def run(self) -> None:
        """Print the tables and write the files."""
        check_objective(self.config.objective)
        data = prepare(self.config.data, data_dir=self.data_dir, source=self.source)
        statistics = label_statistics(data, self.config)
        for table in statistics_tables(statistics):
            console.print(table)
        with writing(f"{self.out}", ANOTHER_OUT):
            self.out.mkdir(parents=True, exist_ok=True)
            write_json(self.out / "statistics.json", statistics)
            draw_statistics(statistics).savefig(self.out / "statistics.png")
            files = ["statistics.json", "statistics.png"]
            if self.config.sampling.inject is not None and any(data.parts["train"].defective):
                self._draw_injected(data.parts["train"]).savefig(self.out / "injected.png")
                files.append("injected.png")
        console.print(", ".join(str(self.out / file) for file in files), soft_wrap=True)

    def _draw_injected(self, training: Part) -> Figure:
        """Draw random training images before and after a defect is pasted into each."""
        examples = ExampleCache(training, self.config.input.size, {}, memory=0)
        donors, rng = Donors(examples, training.present), np.random.default_rng(self.config.seed)
        images = [examples[int(i)] for i in rng.integers(len(training), size=_INJECTED_IMAGES)]
        return draw_injected([(image, donors.inject(image, rng)) for image in images])
