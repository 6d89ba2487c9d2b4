"""`python -m train prepare`: build a data set and look for leaks between its parts."""

from dataclasses import dataclass
from typing import ClassVar

from train.commands.command import ConfigCommand
from train.data.prepare import prepare
from train.errors import MAKE_ROOM, writing
from train.inspection.leaks import describe_leaks, find_leaks, write_table
from train.run.log import console


@dataclass(frozen=True, kw_only=True)
class Prepare(ConfigCommand):
    """Build the data set, and find images that stand in two of its parts.

    An interrupted call leaves nothing that is used; the same command begins again.
    """

    usage: ClassVar[str] = "CONFIG [--source DIR] [--section.field value ...]"

    def run(self) -> None:
        """Print the parts and the leaks; write the leaks into the prepared set."""
        data = prepare(self.config.data, data_dir=self.data_dir, source=self.source)
        for name, part in data.parts.items():
            console.print(f"{name}: {len(part)} images, {sum(part.defective)} of them defective")
        leaks = find_leaks(data)
        for line in describe_leaks(leaks, data) or ["no image stands in two parts"]:
            console.print(line, soft_wrap=True)
        if leaks:
            file = data.parts["train"].directory / "leaks.csv"
            with writing(f"{file}", MAKE_ROOM):
                write_table(leaks, file)
            console.print(f"all pairs: {file}", soft_wrap=True)
