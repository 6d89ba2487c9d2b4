"""Prediction: class maps and overlays of a person's own images."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from train import run_directory
from train.checkpoints import Checkpoints, chosen
from train.data.files import SUFFIXES, read_picture
from train.data.folder import Folder
from train.data.prepare import decode
from train.errors import UserError
from train.experiment import Experiment
from train.pictures import overlay


@dataclass(frozen=True)
class Files:
    """Image files in random access, as examples without labels."""

    paths: Sequence[Path]
    names: Sequence[str]
    channels: int
    read: Callable[[Path], tuple[np.ndarray, bytes]] = read_picture
    """The pixels and the encoded form of a file."""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        _, encoded = self.read(self.paths[index])
        return {"image": decode(encoded, self.channels), "name": self.names[index]}


def predict(run: Path, paths: Sequence[Path], *, out: Path, which: str, console: Console) -> None:
    """Writes, for every image, NAME.png (pixel value = class id) and NAME_overlay.png.

    Args:
        run: the run directory.
        paths: image files, or folders that are searched for them.
        out: folder of the results; folders below the given ones are kept.
        which: "best" or "latest" checkpoint.
        console: where a person looks.

    Raises:
        UserError: a path or image is not usable, or two results would have one name.
    """
    config, facts = run_directory.stored(run)
    experiment = Experiment(config, facts)
    named = named_images(paths)
    data, read = config.data, read_picture
    if isinstance(data, Folder):  # which says how images are read
        read = functools.partial(read_picture, levels=data.levels, channels=data.channels)
    examples = Files(list(named.values()), list(named), facts.channels, read)
    # Everything is read once before any work, so that a bad file is known at once.
    sizes = [example["image"].shape[:2] for example in track_all(examples, "reading", console)]
    canvas = tuple(int(n) for n in np.max(sizes, axis=0))
    checkpoints = Checkpoints(run / "checkpoints")
    state = experiment.restore(checkpoints, chosen(checkpoints, which, run))
    predictions = experiment.predictor((canvas[0], canvas[1]))(state, examples)
    for example, classes in zip(track_all(examples, "predicting", console), predictions, strict=True):
        target = out / f"{example['name']}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(classes).save(target)
        Image.fromarray(overlay(example["image"], classes)).save(
            target.with_name(f"{target.stem}_overlay.png")
        )
    legend = ", ".join(f"{k} {name}" for k, name in enumerate(facts.classes))
    console.print(f"{len(examples)} class maps ({legend}) and overlays: {out}")


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


def track_all(examples: Files, description: str, console: Console) -> Iterator[Mapping[str, Any]]:
    """All examples in turn, with a progress line."""
    for index in track(range(len(examples)), description, console=console, transient=True):
        yield examples[index]
