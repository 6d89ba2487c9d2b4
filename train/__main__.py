"""The commands: arguments in, exit code out."""

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import jax
import tyro
from etils import epath
from rich.console import Console
from rich.logging import RichHandler

from train import configfile
from train.commands.evaluate import evaluate
from train.commands.export import export
from train.commands.predict import Wanted, predict
from train.config import Config
from train.data.prepare import prepare
from train.display.label_statistics import show_statistics
from train.errors import NotFinite, Stopped, UserError
from train.inference.tiles import Tiling
from train.inspection.label_statistics import statistics
from train.inspection.leaks import find_leaks, summary, write_table
from train.parallel import Process, is_first, join
from train.run import directory as run_directory
from train.run.log import logged, quietly
from train.training.experiment import set_up
from train.training.loop import fit

USAGE = """\
usage: python -m train COMMAND ...

  prepare CONFIG [--source DIR] [--section.field value ...]  build the data set, look for leaks in its split
  stats CONFIG [--out DIR] [--section.field value ...]       what the data is like, which options suit it
  fit CONFIG [--run-dir DIR] [--section.field value ...]     train; again the same command goes on
  evaluate RUN_DIR                                           figures and report of a trained run
  predict RUN_DIR PATH... --out DIR                          class maps and overlays of images
  export RUN_DIR --out DIR [--size HEIGHT WIDTH]             the network as StableHLO and ONNX files

CONFIG is a Python file, such as configs/quickstart.py, or one of several configs that a file names, such as
configs/quickstart.py:cross_entropy. Each command has its own --help.
"""

console = Console()


@dataclass(frozen=True)
class _OnConfig:
    config: Annotated[Config, tyro.conf.arg(name="")]
    data_dir: Path = Path("prepared")
    """Where prepared data lives."""
    source: Path | None = None
    """The unpacked original of the data set, for those that need one."""


OnConfig = TypeVar("OnConfig", bound=_OnConfig)


@dataclass(frozen=True)
class Prepare(_OnConfig):
    """Build the data set of a config where it is missing, and look for images on two sides of its split.

    What an interrupted call has left is not used; the same command begins again.
    """


@dataclass(frozen=True)
class Stats(_OnConfig):
    """What the data set of a config is like: ratios, sizes, boundaries, weights, masks, and advice.

    Tables on the screen, and the same as statistics.json and statistics.png.
    """

    out: Path = Path("statistics")
    """Folder the two files go to."""


@dataclass(frozen=True)
class Fit(_OnConfig):
    """Train by a config, evaluate on the test part and draw the report.

    A run that was cut off goes on where it was when the same command is given again.
    """

    run_dir: epath.Path | None = None
    """Where the run is kept; runs/NAME-DIGEST unless given."""
    memory: float = 4.0
    """GiB for training images kept decoded, of those that have been seen; the rest is decoded each time."""
    quiet: bool = False
    """No progress line, tables or colours: a line with the time for what happens, as batch systems want."""
    tensorboard: bool = False
    """Write curves and predictions on a few images for TensorBoard, RUN_DIR/tensorboard."""
    profile: bool = False
    """Trace five steps, after five others, for TensorBoard's profiler or XProf, RUN_DIR/profile."""
    compilation_cache: Path | None = None
    """Folder where compiled programs are kept, so that the next run starts sooner."""
    distributed: bool = False
    """Share the run with the other processes of this SLURM job, mpirun or TPU slice."""
    coordinator: str | None = None
    """HOST:PORT where the first process listens, for processes that nothing else tells of each other."""
    num_processes: int | None = None
    """How many they are."""
    process_id: int | None = None
    """Which of them this is, from 0."""


@dataclass(frozen=True)
class Evaluate:
    """Figures of a run on one part of its data, and its report."""

    run_dir: Annotated[epath.Path, tyro.conf.Positional]
    """What `fit` made."""
    part: Literal["test", "validation", "train"] = "test"
    """Which part of the data."""
    checkpoint: Literal["best", "latest"] = "best"
    """The best by the validation part, or the latest."""
    data_dir: Path = Path("prepared")
    """Where prepared data lives."""
    source: Path | None = None
    """The unpacked original of the data set, for those that need one."""


@dataclass(frozen=True)
class Predict:
    """Class maps (PNG, pixel value = class id) and overlays of images, and how sure the network is of each.

    Images of any size: large ones are cut into tiles that overlap.
    """

    run_dir: Annotated[epath.Path, tyro.conf.Positional]
    """What `fit` made."""
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files, or folders of them."""
    out: Path
    """Folder the results go to."""
    checkpoint: Literal["best", "latest"] = "best"
    """The best by the validation part, or the latest."""
    wanted: Annotated[Wanted, tyro.conf.arg(name="")] = field(default_factory=Wanted)
    tiling: Annotated[Tiling, tyro.conf.arg(name="")] = field(default_factory=Tiling)


@dataclass(frozen=True)
class Export:
    """The network of a run as model.stablehlo and model.onnx, which run without this project."""

    run_dir: Annotated[epath.Path, tyro.conf.Positional]
    """What `fit` made."""
    out: Path
    """Folder the files go to, new or empty."""
    checkpoint: Literal["best", "latest"] = "best"
    """The best by the validation part, or the latest."""
    size: tuple[int, int] | None = None
    """Height and width of the images that model.onnx takes, where the run has no `input.size`."""
    onnx: bool = True
    """Write model.onnx, too; it needs `pip install '.[export]'`."""


def run_prepare(arguments: list[str]) -> None:
    """python -m train prepare CONFIG ..."""
    command, _, _ = on_config(Prepare, "prepare", arguments)
    data = prepare(command.config.data, data_dir=command.data_dir, source=command.source)
    for name, part in data.parts.items():
        console.print(f"{name}: {len(part)} images, {sum(part.defective)} of them defective")
    leaks = find_leaks(data)
    for line in summary(leaks, data) or ["no image stands in two parts"]:
        console.print(line, soft_wrap=True)
    if leaks:
        file = data.parts["train"].directory / "leaks.csv"
        write_table(leaks, file)
        console.print(f"all pairs: {file}", soft_wrap=True)


def run_stats(arguments: list[str]) -> None:
    """python -m train stats CONFIG ..."""
    command, _, _ = on_config(Stats, "stats", arguments)
    data = prepare(command.config.data, data_dir=command.data_dir, source=command.source)
    show_statistics(statistics(data, command.config), command.out, console)


def run_fit(arguments: list[str]) -> None:
    """python -m train fit CONFIG ..."""
    command, file, name = on_config(Fit, "fit", arguments)
    process = Process(command.coordinator, command.num_processes, command.process_id)
    if command.distributed or any(value is not None for value in process):
        join(process)
    if command.compilation_cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(command.compilation_cache))
    default = run_directory.default_path(command.config, file.stem if name is None else f"{file.stem}-{name}")
    still = command.quiet or not is_first()
    with quietly(console, plain=is_first()) if still else contextlib.nullcontext():
        fit(
            command.config,
            file,
            run=command.run_dir or default,
            data_dir=command.data_dir,
            source=command.source,
            room=int(command.memory * 2**30),
            console=console,
            curves=command.tensorboard,
            profile=command.profile,
        )


def on_config(command: type[OnConfig], name: str, arguments: list[str]) -> tuple[OnConfig, Path, str | None]:
    """A command with what its arguments say, the config file, and which of its configs was taken."""
    if not arguments or arguments[0].startswith("-"):
        raise UserError(f"{name}: needs a config file first, such as configs/quickstart.py")
    file, chosen = configfile.split(arguments[0])
    given = tyro.cli(
        command,
        default=command(configfile.load(file, chosen)),
        args=arguments[1:],
        prog=f"python -m train {name} {arguments[0]}",
        config=(tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed),
    )
    return given, file, chosen


def run_evaluate(arguments: list[str]) -> None:
    """python -m train evaluate RUN_DIR ..."""
    command = tyro.cli(Evaluate, args=arguments, prog="python -m train evaluate")
    config, _ = run_directory.stored(command.run_dir)
    experiment, data = set_up(config, data_dir=command.data_dir, source=command.source)
    run_directory.check_data(command.run_dir, experiment.facts)
    evaluate(experiment, data, command.run_dir, part=command.part, which=command.checkpoint, console=console)


def run_predict(arguments: list[str]) -> None:
    """python -m train predict RUN_DIR PATH... --out DIR"""
    command = tyro.cli(Predict, args=arguments, prog="python -m train predict")
    predict(
        command.run_dir,
        command.paths,
        out=command.out,
        which=command.checkpoint,
        tiling=command.tiling,
        wanted=command.wanted,
        console=console,
    )


def run_export(arguments: list[str]) -> None:
    """python -m train export RUN_DIR --out DIR ..."""
    command = tyro.cli(Export, args=arguments, prog="python -m train export")
    export(
        command.run_dir,
        out=command.out,
        which=command.checkpoint,
        size=command.size,
        onnx=command.onnx,
        console=console,
    )


COMMANDS = {
    "prepare": run_prepare,
    "stats": run_stats,
    "fit": run_fit,
    "evaluate": run_evaluate,
    "predict": run_predict,
    "export": run_export,
}


def main(arguments: list[str]) -> int:
    """Runs a command; 0 when it went well, else what the README says."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    try:
        if arguments[0] not in COMMANDS:
            raise UserError(f"{arguments[0]}: no such command; there are {', '.join(COMMANDS)}")
        with logged(RichHandler(console=console, show_time=False, show_level=False, show_path=False)):
            COMMANDS[arguments[0]](arguments[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except NotFinite as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("stopped; the same command goes on after the last whole epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
