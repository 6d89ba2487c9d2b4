"""`python -m train curves`: the cost and the gradient of the terms of an objective over the error of a pixel."""

from dataclasses import dataclass
from typing import ClassVar

from etils import epath

from train.commands.command import ConfigCommand
from train.display.comparison.curves import write_loss_curves
from train.run.log import console


@dataclass(frozen=True, kw_only=True)
class Curves(ConfigCommand):
    """Draw the cost and the gradient of each term of an objective over the error of a pixel; takes no data."""

    usage: ClassVar[str] = "CONFIG --out FILE"

    out: epath.Path = epath.Path("curves.html")
    """The HTML file."""

    def run(self) -> None:
        """Draw."""
        write_loss_curves(self.out, self.config_file.title, self.config.objective)
        console.print(f"curves: {self.out}")
