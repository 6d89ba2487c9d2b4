"""`python -m train serve`: look at predictions in the browser, choose thresholds, hand labels over."""

import importlib.util
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from train.commands.command import RunCommand, check_memory, require
from train.errors import UserError
from train.inference.trained import checkpoint_marks, load_trained
from train.inference.viewers import classifier
from train.measures.decision import automatic_rule
from train.run.decision import read_decision
from train.run.directory import check_data, read_evaluation
from train.run.log import console, progress
from train.serving.handover import Handover
from train.serving.parts import KeptPart, parts_memory
from train.serving.session import Session
from train.serving.uploads import Uploads, predict_one_by_one
from train.setup import set_up


@dataclass(frozen=True, kw_only=True)
class Serve(RunCommand):
    """Show predictions in the browser, choose thresholds by eye, and hand labels over.

    One pass at the start computes the probabilities of the validation part. The page is for one person on
    this machine: the address that is printed opens it, other requests are refused. Ctrl-C ends it.
    """

    usage: ClassVar[str] = "RUN_DIR [--part PART] [--out FOLDER]"

    part: Literal["validation", "test"] = "validation"
    """Part whose images are shown; figures and thresholds are those of the validation part in any case."""
    out: Path | None = None
    """Folder of the images and label images that are handed over."""
    port: int = 0
    """Port of the page; 0 for any free one."""
    host: str = "127.0.0.1"
    """Address of this machine that serves the page; any but the default is open to the network, where the
    token and all images can be read on their way."""
    memory: float = 4.0
    """GiB for the probabilities of the parts."""
    data_dir: Path = Path("prepared")
    """Folder of prepared data sets."""
    source: Path | None = None
    """Folder of the unpacked archive of the data set, for those that need one."""

    def __post_init__(self):
        super().__post_init__()
        check_memory(self.memory)
        require(0 <= self.port < 2**16, "port", self.port, "0 to 65535")

    def run(self) -> None:
        """Serve.

        Raises:
            UserError: the package of the server is missing, the run, its data, the address or the
                folder cannot be used, or the probabilities do not fit.
        """
        if importlib.util.find_spec("aiohttp") is None:
            raise UserError("serve: needs the package aiohttp; pip install '.[serve]'")
        from train.serving.access import Access, listen
        from train.serving.application import application, serve

        with listen(self.host, self.port) as listening:
            session = self.session()
            number, port, *_ = listening.getsockname()
            access = Access(self.host, port)
            if not ipaddress.ip_address(number).is_loopback:
                console.print(
                    f"warning: {self.host} is served without encryption; who can read the network can read "
                    "the page and its token",
                    soft_wrap=True,
                )
            console.print(f"open {access.address} (Ctrl-C ends it)", soft_wrap=True)
            serve(application(session, access), listening)

    def session(self) -> Session:
        """Return what the page shows, after one pass over the images of the parts.

        Raises:
            UserError: as `run`.
        """
        marks = checkpoint_marks(self.run_dir, self.checkpoint)
        trained = load_trained(self.run_dir, self.checkpoint)
        read_decision(self.run_dir, trained.experiment.facts)  # a damaged one is refused before the work
        experiment, data = set_up(trained.experiment.config, data_dir=self.data_dir, source=self.source)
        check_data(self.run_dir, trained.experiment.facts, experiment.facts)
        trained = trained._replace(experiment=experiment)
        defects = data.classes[1:]
        names = dict.fromkeys(("validation", self.part))
        needed = parts_memory([data.parts[name] for name in names], len(defects), self.memory)
        console.print(needed, soft_wrap=True)
        handover = None if self.out is None else Handover(self.out)
        parts = {}
        for name in names:
            examples, classify = data.parts[name], classifier(experiment, data.canvas(name))
            classified = progress(classify(trained.state, examples), f"predicting {name}", len(examples))
            parts[name] = KeptPart(examples, classified, defects)
        evaluation = read_evaluation(self.run_dir, trained.step, data.classes)
        if evaluation is None:
            automatic = automatic_rule(lambda: parts["validation"].images, defects)
        else:
            automatic = evaluation.decided.rule
        uploads = Uploads(experiment.config.data.decoding, data.channels, predict_one_by_one(trained))
        return Session(
            self.run_dir,
            self.checkpoint,
            marks,
            trained.step,
            experiment.facts,
            parts,
            automatic,
            uploads,
            handover,
        )
