"""`python -m train fit`: train a run, or resume it, and evaluate it."""

import contextlib
import dataclasses
import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import jax
from etils import epath

from train.commands.command import ConfigCommand, check_memory, require
from train.commands.evaluate import evaluate
from train.config import Config
from train.data.prepare import Prepared
from train.data.resize import resized_label
from train.display.tables import muting_table
from train.display.tensorboard import tensorboard
from train.errors import UserError, writing
from train.inference.trained import restore
from train.inference.viewers import validator
from train.inspection.muting import measure_muting, muting_warnings
from train.parallel import (
    Process,
    check_batch_size,
    initialize_distributed,
    is_first_host,
    refuse_together,
)
from train.paths import AnyPath
from train.run import directory
from train.run.checkpoints import put_back
from train.run.files import write_json
from train.run.interrupt import interruption
from train.run.log import LogFile, console, log, log_to, quiet
from train.setup import set_up
from train.training.class_ratios import ratio_numbers
from train.training.experiment import Experiment
from train.training.initial import check_initial
from train.training.loop import load_progress, train
from train.training.objective import find_option

_COORDINATOR = re.compile(r".+:\d{1,5}")
"""HOST:PORT."""


@dataclass(frozen=True, kw_only=True)
class Fit(ConfigCommand):
    """Train, evaluate the best checkpoint on the test part and write the report.

    An interrupted run is resumed when the same command is given again, or its run directory as CONFIG.
    """

    usage: ClassVar[str] = "CONFIG [--run-dir DIR] [--section.field value ...]"

    run_dir: epath.Path | None = None
    """Run directory; runs/NAME-DIGEST unless given."""
    memory: float = 4.0
    """GiB for decoded training images that are cached; the images that do not fit are decoded in each
    pass."""
    quiet: bool = False
    """No progress line, tables or colors: log lines with the time, as batch systems want."""
    tensorboard: bool = False
    """Write curves and predictions on a few images for TensorBoard, RUN_DIR/tensorboard."""
    profile: bool = False
    """Trace five steps, after five others, for TensorBoard's profiler or XProf, RUN_DIR/profile."""
    compilation_cache: Path | None = None
    """Folder where compiled programs are kept, so that the next run starts sooner."""
    distributed: bool = False
    """Share the run with the other processes of this SLURM job, mpirun or TPU slice."""
    coordinator: str | None = None
    """HOST:PORT where the first process listens, for processes that no cluster manager started."""
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, from 0."""

    def __post_init__(self):
        super().__post_init__()
        check_memory(self.memory)
        number, own = self.num_processes, self.process_id
        require(number is None or number >= 1, "num_processes", number, "at least 1")
        takes = "at least 0" if number is None else f"0 to {number - 1}"
        require(own is None or 0 <= own < (number or math.inf), "process_id", own, takes)
        address = self.coordinator
        require(address is None or bool(_COORDINATOR.fullmatch(address)), "coordinator", address, "HOST:PORT")

    @classmethod
    def default(cls, argument: str) -> Self:
        """Return the command without flags; on a run directory, that of the run itself."""
        command = super().default(argument)
        run_dir = epath.Path(argument)
        return dataclasses.replace(command, run_dir=run_dir) if directory.is_run(run_dir) else command

    def run(self) -> None:
        """Train and evaluate."""
        process = Process(self.coordinator, self.num_processes, self.process_id)
        if self.distributed or any(value is not None for value in process):
            initialize_distributed(process)
        if self.compilation_cache is not None:
            with writing(f"{self.compilation_cache}", "give another --compilation-cache"):
                self.compilation_cache.mkdir(parents=True, exist_ok=True)
            jax.config.update("jax_compilation_cache_dir", str(self.compilation_cache))
        # Made in any case, because a config with an object that cannot be found again by name has no digest.
        default = directory.default_path(self.config, self.config_file.title)
        run_dir = self.run_dir or default
        silent = self.quiet or not is_first_host()
        with quiet(log_lines=is_first_host()) if silent else contextlib.nullcontext():
            self._fit(run_dir)

    def _fit(self, run_dir: AnyPath) -> None:
        config = self.config
        with contextlib.ExitStack() as stack:
            with refuse_together():
                check_batch_size(config.batch_size, config.accumulation)
                experiment, data = set_up(config, data_dir=self.data_dir, source=self.source)
                check_initial(experiment, run_dir)
                stack.enter_context(directory.claim(run_dir))
                put_back(run_dir)
                stack.enter_context(log_to(LogFile(run_dir / "log.txt")))
                class_weights = ratio_numbers(config.objective, experiment.config.objective)
                for note in directory.begin_or_resume(
                    run_dir, config, self.config_file.path, experiment.facts, class_weights
                ):
                    log.info("note: %s", note)
            log.info("run directory: %s", run_dir)
            for address, numbers in class_weights.items():
                log.info("objective.%s: %s", address, ", ".join(f"{number:.4g}" for number in numbers))
            _report_muting(config, data, run_dir)
            self._train(experiment, data, run_dir)
            evaluate(restore(experiment, run_dir, "best"), data, run_dir, part="test", checkpoint="best")

    def _train(self, experiment: Experiment, data: Prepared, run_dir: AnyPath) -> None:
        with contextlib.ExitStack() as stack:
            stop = stack.enter_context(interruption())
            progress = load_progress(experiment, run_dir)
            if len(progress.epochs) == self.config.epochs:
                log.info("all %d epochs are done", self.config.epochs)
                return
            on_epoch = None
            if self.tensorboard and is_first_host():
                curves = tensorboard(experiment, data, run_dir / "tensorboard", progress.step)
                on_epoch = stack.enter_context(curves)
            train(
                experiment,
                data,
                run_dir,
                progress,
                memory=int(self.memory * 2**30),
                validate=validator(experiment, data.canvas("validation")),
                interruption=stop,
                on_epoch=on_epoch,
                profile=self.profile,
            )


def _report_muting(config: Config, data: Prepared, run_dir: AnyPath) -> None:
    """Measure, once per run, how far the confusion mask mutes each class at the network's input size.

    A damaged file is replaced.
    """
    file = run_dir / "muting.json"
    with contextlib.suppress(UserError):
        directory.read_muting(run_dir, data.classes)
        return
    windows = {find_option(term, "window") for term in config.objective.values()} - {None}
    size = config.input.size
    resize = (lambda label: label) if size is None else functools.partial(resized_label, size=size)
    labels = map(resize, data.parts["train"].labels())
    muting = measure_muting(labels, data.classes, max(windows, default=None))
    write_json(file, muting)
    console.print(muting_table(muting))
    for warning in muting_warnings(muting):
        log.warning("warning: %s", warning)
