"""`python -m train curves`: the terms of an objective over the error of a pixel."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from train.commands.command import ConfigCommand
from train.display.comparison.loss_curves import write_loss_curves
from train.run.log import console


@dataclass(frozen=True, kw_only=True)
class Curves(ConfigCommand):
    """Draw the cost and the gradient of each term of an objective over the error of a pixel.

    The curves come from the formulas and take no data.
    """

    usage: ClassVar[str] = "CONFIG [--out FILE]"

    out: Path = Path("curves.html")
    """The HTML file."""

    def run(self) -> None:
        """Draw."""
        write_loss_curves(self.out, self.config_file.title, self.config.objective)
        console.print(f"curves: {self.out}", soft_wrap=True)
