"""`python -m train predict`: class maps, overlays and tables of a person's own images."""

import functools
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import grain
import numpy as np
import tyro
from rich.progress import Progress

from train.commands.command import RunCommand
from train.data.example import Size
from train.data.facts import DataFacts
from train.data.files import find_files, nfc
from train.data.formats.images import SUFFIXES, read_head, read_pixels
from train.data.formats.polygons import PREDICTED_COCO
from train.data.pixels import with_channels
from train.display.predictions import PredictionFiles, prediction_writer
from train.errors import UserError
from train.inference.tiles import FLIPS, Predictor, Tiling
from train.inference.trained import load_trained
from train.measures.decision import class_map
from train.measures.records import DecisionRule
from train.run.checkpoints import Choice
from train.run.decision import current_rule
from train.run.log import console, log, progress

_READ_AHEAD = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
"""Images decoded while the devices work; more would fill the memory with large images."""
_LONGEST_NAME = 255
"""Bytes of a file name that the file systems of Linux and macOS take."""

Read = Callable[[Path], tuple[np.ndarray, bytes | None]]
"""Reads an image file, as `read_pixels` does."""


@dataclass(frozen=True, kw_only=True)
class Predict(RunCommand):
    """Write class maps (PNG, pixel value = class id), overlays and scores of images of any size.

    Images larger than a tile are cut into tiles that overlap.
    """

    usage: ClassVar[str] = "RUN_DIR PATH... --out DIR"

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files, or folders that are searched for them."""
    out: Path
    """Folder of the results; folders below the given ones are kept."""
    flips: bool = False
    """Average over an image and its three mirrored forms: four times the time, often slightly better."""
    decide: bool = False
    """Apply the thresholds and minimum areas that you, or else `evaluate`, have chosen, instead of the most
    probable class."""
    files: Annotated[PredictionFiles, tyro.conf.arg(name="")] = field(default_factory=PredictionFiles)
    tiling: Annotated[Tiling, tyro.conf.arg(name="")] = field(default_factory=Tiling)

    def run(self) -> None:
        """Write the files of `train.display.predictions`, image by image.

        Raises:
            UserError: a path or image is not usable, two results would have one name, nothing can be written,
                or there are no thresholds.
        """
        experiment, state, step, _ = load_trained(self.run_dir, self.checkpoint)
        config, facts = experiment.config, experiment.facts
        named = _name_images(self.paths)
        _check_results(named, self.out, self.files.longest_ending)
        _check_annotations(named, self.out, self.files)
        read = functools.partial(read_pixels, decoding=config.data.decoding)
        images = _ImageFiles(list(named.values()), list(named), facts.channels, read)
        canvas = largest_size(progress(images.paths, "reading sizes"), read)
        rule = _chosen_rule(self.run_dir, step, self.checkpoint, facts) if self.decide else None
        predictor = Predictor(experiment, canvas, self.tiling, FLIPS if self.flips else FLIPS[:1])
        predictions = predictor(state, grain.MapDataset.source(images).to_iter_dataset(_READ_AHEAD))
        line = Progress(console=console, transient=True)
        task = line.add_task("predicting", total=len(images))
        with prediction_writer(self.out, facts.classes, self.files) as write, line:
            for image, probabilities in predictions:
                write(image, _class_map(probabilities, rule), probabilities)
                line.advance(task)
        legend = ", ".join(f"{k} {name}" for k, name in enumerate(facts.classes))
        console.print(f"{len(images)} class maps ({legend}) and overlays: {self.out}", soft_wrap=True)


@dataclass(frozen=True)
class _ImageFiles:
    """Image files in random access, as examples without labels."""

    paths: Sequence[Path]
    names: Sequence[str]
    channels: int
    read: Read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        path = self.paths[index]
        pixels, _ = self.read(path)
        return {
            "image": with_channels(pixels, self.channels),
            "name": self.names[index],
            "path": path,
        }


def _name_images(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the image files by name: the path below the given folder, without the suffix.

    Raises:
        UserError: a path does not exist or holds no image, or two images have one name.
    """
    if not paths:
        raise UserError("predict: no images given; name files, or folders that hold them")
    named: dict[str, Path] = {}
    twins: dict[str, Path] = {}  # some systems take names that are equal in NFC for one
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        files, root = (find_files(path, SUFFIXES), path) if path.is_dir() else ([path], path.parent)
        if not files:
            raise UserError(f"{path}: holds no images ({', '.join(SUFFIXES)})")
        for file in files:
            name = file.relative_to(root).with_suffix("").as_posix()
            if (twin := twins.setdefault(nfc(name), file)) is not file:
                raise UserError(f"{file}: and {twin} would both be written to {name}.png; predict one by one")
            named[name] = file
    return named


def _check_results(named: Mapping[str, Path], out: Path, ending: str) -> None:
    """Refuse results that would replace each other, or an image, or whose file names would be too long.

    Args:
        named: image files by name.
        out: folder of the results.
        ending: the longest end of a file name of results.

    Raises:
        UserError: names the image.
    """
    images = {nfc(str(file.resolve())): file for file in named.values()}
    for name, file in named.items():
        longest = Path(f"{name}{ending}").name
        if (size := len(os.fsencode(longest))) > _LONGEST_NAME:
            raise UserError(
                f"{file}: its results would have file names of up to {size} bytes, and file systems take "
                f"{_LONGEST_NAME}; give the image a shorter name"
            )
        if f"{name}_overlay" in named:
            raise UserError(
                f"{file}: its overlay and the class map of {named[f'{name}_overlay']} would both be written "
                f"to {name}_overlay.png; predict one by one"
            )
        for suffix in ("", "_overlay"):
            if lost := images.get(nfc(str((out / f"{name}{suffix}.png").resolve()))):
                raise UserError(f"{lost}: would be replaced by a result; give another --out")


def _check_annotations(names: Collection[str], out: Path, files: PredictionFiles) -> None:
    """Refuse to replace a COCO file, and say how many LabelMe files are kept: both may have been corrected.

    Raises:
        UserError: names the file.
    """
    if files.coco and files.labelme and "coco" in names:
        raise UserError(f"{PREDICTED_COCO}: --coco and --labelme would both write it; leave one out")
    if files.coco and (file := out / PREDICTED_COCO).exists():
        raise UserError(f"{file}: exists, and its labels would be lost; give another --out, or remove it")
    if files.labelme and (kept := sum((out / f"{name}.json").exists() for name in names)):
        log.warning(
            "note: %s: %d of %d LabelMe files exist and are kept, because a person may have corrected them; "
            "to predict them anew give another --out",
            out,
            kept,
            len(names),
        )


def largest_size(paths: Iterable[Path], read: Read) -> Size:
    """Return the smallest (height, width) that every image fits into.

    The first file of each kind is read in full, of the others the head, so that unusable files are found
    before the work, in a fraction of the time it takes to read all.

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


def _chosen_rule(run_dir: Any, step: int, checkpoint: Choice, facts: DataFacts) -> DecisionRule:
    """Return the rule that a person, or else the last evaluation, has chosen on the validation part.

    Raises:
        UserError: a person has chosen for another checkpoint; or another one was evaluated last, or none.
    """
    rule = current_rule(run_dir, step, facts)
    if rule is None:
        raise UserError(
            f"{run_dir}: has no thresholds of this checkpoint; run python -m train evaluate {run_dir} "
            f"--checkpoint {checkpoint}, or leave --decide out"
        )
    return rule


def _class_map(probabilities: np.ndarray, rule: DecisionRule | None) -> np.ndarray:
    """Return the classes of an image, uint8 [h, w], from its probabilities, float32 [h, w, classes].

    Without a rule they are the most probable ones.
    """
    if rule is None:
        # Row by row, because argmax gives eight bytes a pixel.
        return np.stack([row.argmax(-1).astype(np.uint8) for row in probabilities])
    return class_map(probabilities[..., 1:], rule)
