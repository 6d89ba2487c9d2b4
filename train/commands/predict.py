"""Prediction: class maps and overlays of a person's own images, and what a line of a factory asks of them.

    NAME.png                 the class of each pixel, as its value
    NAME_overlay.png         the image with its classes drawn over it
    images.csv               how sure the network is that each image shows a defect
    components.csv           on request, one line a connected defect; both tables as .jsonl, if wanted
    NAME_probabilities.npz   on request, the probability of each class

All but the tables stand below the folder in which the image stood. An image is done when its line is in
images.csv; whatever happens then, that stays.
"""

import contextlib
import csv
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grain
import jax.numpy as jnp
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress, track

from train.data.formats.images import SUFFIXES, read_head, read_pixels
from train.data.resize import Size, padded
from train.display.pictures import overlay
from train.errors import ANOTHER_OUT, UserError, writing
from train.inference.tiles import FLIPS, Predictor, Tiling
from train.measures.components import components, without_small
from train.measures.decision import decide
from train.parallel import on_host
from train.paths import Place
from train.run import directory as run_directory
from train.run.checkpoints import Checkpoints, chosen
from train.training.experiment import Experiment

READ_AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
"""Images decoded while the devices work; more would take memory where they are large."""
PIXELS = 2**16
"""How many are decided at once."""
IMAGE = ("image", "score")
"""Columns of images.csv; then each defect class."""
COMPONENT = ("image", "class", "area", "top", "left", "height", "width", "probability")
"""Columns of components.csv."""

Read = Callable[[Path], tuple[np.ndarray, bytes | None]]
"""The pixels of a file, uint8 [h, w, c], and something else."""


@dataclass(frozen=True)
class Wanted:
    """What is found in images, and what is written of it beside class maps and overlays."""

    flips: bool = False
    """Take the mean over an image and its three mirrored forms: four times the time, often a bit better."""
    decide: bool = False
    """Decide by the thresholds and minimum areas that `evaluate` has chosen, not for the most probable."""
    probabilities: bool = False
    """Write NAME_probabilities.npz: `probabilities` float16 [height, width, classes], and `classes`."""
    components: bool = False
    """Write components.csv: class, area, box and mean probability of each connected defect."""
    json: bool = False
    """Write the tables as .jsonl, an object with the columns' names a line, in place of .csv."""


class Decision(NamedTuple):
    """From probabilities to classes."""

    classes: Callable[[np.ndarray], np.ndarray]
    """Of pixels [n, classes] the classes [n]."""
    minimum_areas: Sequence[int]
    """Pixels that a component of each defect class has at least; none where any will do."""


@dataclass(frozen=True)
class Files:
    """Image files in random access, as examples without labels."""

    paths: Sequence[Path]
    names: Sequence[str]
    channels: int
    read: Read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        pixels, _ = self.read(self.paths[index])
        if pixels.shape[-1] != self.channels:  # grey among colours, or the other way round
            image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
            pixels = np.asarray(image.convert("L" if self.channels == 1 else "RGB"))
        return {"image": pixels.reshape(*pixels.shape[:2], self.channels), "name": self.names[index]}


def predict(
    run: Place,
    paths: Sequence[Path],
    *,
    out: Path,
    which: str,
    tiling: Tiling,
    wanted: Wanted,
    console: Console,
) -> None:
    """Writes the files named above, image by image.

    Args:
        run: the run directory.
        paths: image files, or folders that are searched for them.
        out: folder of the results; folders below the given ones are kept.
        which: "best" or "latest" checkpoint.
        tiling: how large images are cut.
        wanted: what is found and written.
        console: where a person looks.

    Raises:
        UserError: a path or image is not usable, two results would have one name, nothing can be written, or
            there is nothing to decide by.
    """
    config, facts = run_directory.stored(run)
    experiment = Experiment(config, facts)
    named = named_images(paths)
    check_results(named, out)
    read = functools.partial(read_pixels, decoding=config.data.decoding)
    files = Files(list(named.values()), list(named), facts.channels, read)
    canvas = largest(track(files.paths, "looking", console=console, transient=True), read)
    checkpoints = Checkpoints(run / "checkpoints")
    step = chosen(checkpoints, which, run)
    if wanted.decide:
        decision = chosen_on_validation(run, step, which, facts.classes)
    else:
        decision = Decision(on_host(functools.partial(jnp.argmax, axis=-1)), ())
    state = experiment.restore(checkpoints, step)
    predictor = Predictor(experiment, canvas, tiling, FLIPS if wanted.flips else FLIPS[:1])
    predictions = predictor(state, grain.MapDataset.source(files).to_iter_dataset(READ_AHEAD))
    progress = Progress(console=console, transient=True)
    task = progress.add_task("predicting", total=len(files))
    with results(out, facts.classes, wanted) as add, progress:
        for example, probabilities in predictions:
            add(example, class_map(probabilities, decision), probabilities)
            progress.advance(task)
    legend = ", ".join(f"{k} {name}" for k, name in enumerate(facts.classes))
    console.print(f"{len(files)} class maps ({legend}) and overlays: {out}", soft_wrap=True)


def named_images(paths: Sequence[Path]) -> dict[str, Path]:
    """The images that paths stand for, by name: the path below the given folder, without the ending.

    Raises:
        UserError: a path does not exist, holds no image, or two images have one name.
    """
    if not paths:
        raise UserError("predict: no images given; name files, or folders that hold them")
    named: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        inside = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES)
        files, root = (inside, path) if path.is_dir() else ([path], path.parent)
        if not files:
            raise UserError(f"{path}: holds no images ({', '.join(SUFFIXES)})")
        for file in files:
            name = file.relative_to(root).with_suffix("").as_posix()
            if name in named:
                raise UserError(
                    f"{file}: and {named[name]} would both be written to {name}.png; predict one by one"
                )
            named[name] = file
    return named


def check_results(named: Mapping[str, Path], out: Path) -> None:
    """Refuses results that would take each other's place, or that of an image.

    Raises:
        UserError: names the image.
    """
    images = {file.resolve(): file for file in named.values()}
    for name, file in named.items():
        if f"{name}_overlay" in named:
            raise UserError(
                f"{file}: its overlay and the class map of {named[f'{name}_overlay']} would both be written "
                f"to {name}_overlay.png; predict one by one"
            )
        for end in ("", "_overlay"):
            if lost := images.get((out / f"{name}{end}.png").resolve()):
                raise UserError(f"{lost}: would be replaced by a result; give another --out")


def largest(paths: Iterable[Path], read: Read) -> Size:
    """The smallest (height, width) that every image fits into.

    Of each kind of file the first is read in full, of the others the head, so that what cannot be used is
    known before the work, in a fraction of the time it takes to read all.

    Raises:
        UserError: an image is not usable.
    """
    kinds, sizes = set(), []
    for path in paths:
        head = read_head(path)
        if head and head.kind in kinds:
            sizes.append(head.size)
            continue
        sizes.append(read(path)[0].shape[:2])
        if head:
            kinds.add(head.kind)
    height, width = np.max(sizes, axis=0).tolist()
    return height, width


def chosen_on_validation(run: Place, step: int, which: str, classes: Sequence[str]) -> Decision:
    """The decision that the last evaluation has chosen on the validation part.

    Args:
        run: the run directory.
        step: of the checkpoint in use.
        which: what it is called.
        classes: their names.

    Raises:
        UserError: another checkpoint was evaluated last, or none.
    """
    decided = run_directory.decided(run, step)
    if decided is None:
        raise UserError(
            f"{run}: thresholds of this checkpoint are not there; run python -m train evaluate {run} "
            f"--checkpoint {which}, or leave --decide out"
        )
    # Evaluations by earlier versions have decided without areas.
    areas = decided.get("minimum_areas", {})
    thresholds = np.array([decided["thresholds"][name] for name in classes[1:]])
    return Decision(
        on_host(functools.partial(decide, thresholds=thresholds)),
        [areas.get(name, 1) for name in classes[1:]],
    )


def class_map(probabilities: np.ndarray, decision: Decision) -> np.ndarray:
    """The classes that are decided for, uint8 [h, w].

    Args:
        probabilities: float32 [h, w, classes].
        decision: it is given pixels in blocks of one size, so that it is compiled once for all images.
    """
    pixels = probabilities.reshape(-1, probabilities.shape[-1])
    classes = np.empty(len(pixels), np.uint8)
    for start in range(0, len(pixels), PIXELS):
        block = pixels[start : start + PIXELS]
        whole = padded(block, (PIXELS, pixels.shape[-1]), 0)
        classes[start : start + PIXELS] = decision.classes(whole)[: len(block)]
    return without_small(classes.reshape(probabilities.shape[:2]), decision.minimum_areas)


Add = Callable[[Mapping[str, Any], np.ndarray, np.ndarray], None]
"""Writes the results of an example: its classes uint8 [h, w] and probabilities float32 [h, w, classes]."""


@contextlib.contextmanager
def results(out: Path, names: Sequence[str], wanted: Wanted) -> Iterator[Add]:
    """A function that writes what is found in an image into a folder.

    Args:
        out: the folder.
        names: of the classes.
        wanted: what is written beside class maps and overlays.

    Raises:
        UserError: nothing can be written there.
    """

    def add(example: Mapping[str, Any], classes: np.ndarray, probabilities: np.ndarray) -> None:
        target = out / f"{example['name']}.png"
        with writing(f"{out}", ANOTHER_OUT):
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(classes).save(target)
            Image.fromarray(overlay(example["image"], classes)).save(
                target.with_name(f"{target.stem}_overlay.png")
            )
            if wanted.probabilities:
                np.savez_compressed(
                    target.with_name(f"{target.stem}_probabilities.npz"),
                    probabilities=probabilities.astype(np.float16),
                    classes=np.array(names),
                )
            if add_component is not None:
                for row in component_rows(classes, probabilities, names):
                    add_component([example["name"], *row])
            defects = probabilities[..., 1:].max((0, 1))
            add_image([example["name"], 1 - probabilities[..., 0].min(), *defects])

    with contextlib.ExitStack() as tables:
        with writing(f"{out}", ANOTHER_OUT):
            out.mkdir(parents=True, exist_ok=True)
            table = json_lines if wanted.json else csv_table
            add_image = tables.enter_context(table(out / "images", [*IMAGE, *names[1:]]))
            add_component = None
            if wanted.components:
                add_component = tables.enter_context(table(out / "components", COMPONENT))
        yield add


@contextlib.contextmanager
def csv_table(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[Any]], Any]]:
    """A function that adds a row to a new CSV file, where it stands at once; `path` lacks the ending."""
    # Names of files may hold bytes that are no text; they are written as they are.
    with path.with_suffix(".csv").open(
        "w", buffering=1, encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        add = csv.writer(file, lineterminator="\n").writerow
        add(columns)
        yield add


@contextlib.contextmanager
def json_lines(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[Any]], Any]]:
    """The same with an object a line."""
    with path.with_suffix(".jsonl").open("w", buffering=1, encoding="utf-8") as file:

        def add(row: Sequence[Any]) -> None:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), default=float) + "\n")

        yield add


def component_rows(
    classes: np.ndarray, probabilities: np.ndarray, names: Sequence[str]
) -> Iterator[list[Any]]:
    """The connected defects of an image: class, area, box and mean probability of each."""
    for component in components(classes, range(1, len(names))):
        rows, columns = component.box
        own = probabilities[rows, columns, component.label][component.pixels]
        yield [
            names[component.label],
            component.area,
            *(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start),
            own.mean(),
        ]
