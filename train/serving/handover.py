"""Predictions that a person has accepted, as the images and label images of the next training set.

    OUT/images/NAME.png   the image as the network saw it, 8 bits per channel; .tif of 2, 4 and more channels
    OUT/masks/NAME.png    the class of each pixel, as its value
    OUT/verdicts.json     what was said of which image, and digests of the files, so that no other is replaced

`configs/folder.py` reads the first two as they are. NAME is that of the image, reduced to letters, digits,
"-" and "_", with a digest of its pixels, so that images of one name stay apart.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from train import records
from train.data.pixels import png_bytes
from train.errors import ANOTHER_OUT, UserError, writing
from train.run.files import read_json, reading, write_json

Verdict = Literal["accepted", "no defect", "rejected"]
"""The label image is the prediction; the label image is background; there is none."""

_NAME = re.compile("[A-Za-z0-9_-]+")
"""Names of files."""
_LONGEST_NAME = 60
"""Characters of a file name that come from the name of the image."""


@dataclass(frozen=True)
class _Entry:
    """What was said of an image."""

    verdict: Verdict
    files: dict[str, str]
    """Digests by path below the folder."""


class Handover:
    """The folder of label images that a person hands over."""

    def __init__(self, out: Path):
        """Open a folder, which may be missing.

        Raises:
            UserError: it holds files but no verdicts.json, or a damaged one, or it cannot be written.
        """
        self.out = out
        self._ledger = out / "verdicts.json"
        self._entries: dict[str, _Entry] = {}
        if out.is_dir() and any(out.iterdir()) and not self._ledger.exists():
            raise UserError(
                f"{out}: holds files that are not of serve; give another --out, new or empty, or a "
                "folder that serve has written"
            )
        with writing(f"{out}", ANOTHER_OUT):
            for folder in (out / "images", out / "masks"):
                folder.mkdir(parents=True, exist_ok=True)
        if self._ledger.exists():
            value = read_json(self._ledger)
            with reading(self._ledger):
                self._entries = records.from_json(value, dict[str, _Entry])
                _check_paths(self._entries)
            self._written = self._ledger.read_bytes()
        else:
            self._write_ledger()

    def verdict(self, name: str, image: np.ndarray) -> Verdict | None:
        """Return what was said of an image, uint8 [h, w, c]."""
        entry = self._entries.get(_key(name, image))
        return None if entry is None else entry.verdict

    def counts(self) -> dict[str, int]:
        """Return how often each verdict was given."""
        verdicts = [entry.verdict for entry in self._entries.values()]
        return {verdict: verdicts.count(verdict) for verdict in ("accepted", "no defect", "rejected")}

    def give(self, name: str, image: np.ndarray, classes: np.ndarray, verdict: Verdict) -> None:
        """Write the files of a verdict in place of those of an earlier verdict on this image.

        Args:
            name: of the image.
            image: uint8 [h, w, c].
            classes: predicted class ids, uint8 [h, w].
            verdict: what is said.

        Raises:
            UserError: a file would be replaced that is not from here or was changed since, the folder is
                gone or cannot be written.
        """
        key = _key(name, image)
        files: dict[str, bytes] = {}
        if verdict != "rejected":
            label = classes if verdict == "accepted" else np.zeros_like(classes)
            files = {**_image_file(key, image), f"masks/{key}.png": png_bytes(label)}
        self._check(key, files)
        self._remove(key)
        with writing(f"{self.out}", ANOTHER_OUT):
            for path, content in files.items():
                (self.out / path).parent.mkdir(exist_ok=True)
                (self.out / path).write_bytes(content)
        digests = {path: _digest(content) for path, content in files.items()}
        self._entries[key] = _Entry(verdict, digests)
        self._write_ledger()

    def take_back(self, name: str, image: np.ndarray) -> None:
        """Remove the verdict on an image, and its files.

        Raises:
            UserError: a file was changed since, or the folder is gone.
        """
        key = _key(name, image)
        self._check(key, {})
        self._remove(key)
        self._entries.pop(key, None)
        self._write_ledger()

    def _write_ledger(self) -> None:
        write_json(self._ledger, self._entries)
        self._written = self._ledger.read_bytes()

    def _check(self, key: str, files: dict[str, bytes]) -> None:
        """Refuse to replace or remove a file that this folder does not have from here."""
        if not self._ledger.exists():
            gone = self._ledger if self.out.is_dir() else self.out
            raise UserError(f"{gone}: is gone; bring it back, or start serve again with a new --out")
        with reading(self._ledger):
            unchanged = self._ledger.read_bytes() == self._written
        if not unchanged:
            raise UserError(
                f"{self._ledger}: was changed elsewhere; it is kept, start serve again, which reads it"
            )
        entry = self._entries.get(key)
        known = {} if entry is None else entry.files
        for path in {*known, *files}:
            file = self.out / path
            if file.is_symlink() or (file.exists() and not file.is_file()):
                raise UserError(f"{file}: is no file of this page; move it away")
            # A file with the content to be written is what an interrupted verdict has left.
            own = (known.get(path), _digest(files[path]) if path in files else None)
            if file.is_file() and _digest(file.read_bytes()) not in own:
                raise UserError(f"{file}: was changed or is from elsewhere; it is kept, move it away first")

    def _remove(self, key: str) -> None:
        if entry := self._entries.get(key):
            with writing(f"{self.out}", ANOTHER_OUT):
                for path in entry.files:
                    (self.out / path).unlink(missing_ok=True)


def _check_paths(entries: dict[str, _Entry]) -> None:
    """Refuse a ledger with files that no verdict writes: they would be removed.

    Raises:
        ValueError: names the first.
    """
    for key, entry in entries.items():
        for path in entry.files:
            if not _NAME.fullmatch(key) or path not in (
                f"images/{key}.png",
                f"images/{key}.tif",
                f"masks/{key}.png",
            ):
                raise ValueError(f"{key}: has the file {path}, which is none of its own")


def _image_file(key: str, image: np.ndarray) -> dict[str, bytes]:
    if image.shape[-1] in (1, 3):
        return {f"images/{key}.png": png_bytes(image.squeeze(-1) if image.shape[-1] == 1 else image)}
    return {f"images/{key}.tif": _tiff_bytes(image)}


def _tiff_bytes(image: np.ndarray) -> bytes:
    """Return an image of any number of channels as a TIFF file."""
    file = io.BytesIO()
    tifffile.imwrite(file, image, photometric="minisblack", planarconfig="contig", metadata=None)
    return file.getvalue()


def _key(name: str, image: np.ndarray) -> str:
    """Return the name of the files of an image."""
    words = re.sub(r"[^A-Za-z0-9_-]+", "_", re.sub(r"\.[A-Za-z]{2,5}$", "", name)).strip("_")
    return f"{words[-_LONGEST_NAME:] or 'image'}-{_digest(str(image.shape).encode() + image.tobytes())[:12]}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
