"""`python -m train stats`: statistics of the labels of a data set, and options that suit them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from train.commands.command import ConfigCommand
from train.data.prepare import prepare
from train.display.label_statistics import draw_statistics, statistics_tables
from train.errors import ANOTHER_OUT, writing
from train.inspection.label_statistics import label_statistics
from train.run.files import write_json
from train.run.log import console
from train.training.objective import check_objective


@dataclass(frozen=True, kw_only=True)
class Stats(ConfigCommand):
    """Measure class ratios, sizes, boundaries and masks of the labels, and recommend options.

    The tables are printed; statistics.json holds their figures, and statistics.png draws them.
    """

    usage: ClassVar[str] = "CONFIG [--out DIR] [--section.field value ...]"

    out: Path = Path("statistics")
    """Folder of the two files."""

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
        console.print(f"{self.out / 'statistics.json'}, {self.out / 'statistics.png'}", soft_wrap=True)
