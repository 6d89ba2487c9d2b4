"""The base of all data set builders: storage of examples and metadata of a set.

A prepared set holds encoded bytes: TFDS writes files to array_record without TensorFlow, but no arrays.
"""

import abc
import hashlib
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from train.data.example import DEFAULT_DECODING, PARTS, VOID, Decoding, Example
from train.data.formats.images import read_image
from train.data.pixels import is_gray, is_jpeg, png_bytes
from train.errors import UserError
from train.run.log import progress

THREADS = min(16, os.cpu_count() or 1)
"""Threads that decode, encode or crop examples."""

REBUILD = "delete this folder, and the command builds it again"
"""Remedy for an incomplete or damaged prepared set."""

Items = Mapping[str, Sequence[Any]]
"""The items of each part, from which a builder makes examples."""


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders: writes examples, and their description into the metadata.

    The metadata hold the class names, the number of channels (1 if every image is gray, 3 if some are RGB,
    else the number that all of them have), the fingerprint, and for each example its (height, width), the
    classes it shows and its group, so that nothing is decoded to look these up.

    A subclass raises its VERSION whenever its examples, their description or their parts change.
    """

    def __init_subclass__(cls, **options: Any):
        # Builders are never looked up by name, and a config that defines one may be loaded twice.
        super().__init_subclass__(skip_registration=True, **options)

    def __init__(self, classes: Sequence[str], *, data_dir: Path):
        self.classes = tuple(classes)
        super().__init__(data_dir=data_dir)

    @abc.abstractmethod
    def items(self) -> Items:
        """Return the items of every part, each part sorted by the names of its examples."""

    @abc.abstractmethod
    def example(self, item: Any) -> Example:
        """Return the example of an item; called by several threads."""

    def _info(self) -> tfds.core.DatasetInfo:
        return _OfflineInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, None)),
                    "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                    "name": tfds.features.Text(),
                }
            ),
            metadata=tfds.core.MetadataDict(
                classes=self.classes, channels=1, sizes={}, present={}, groups={}
            ),
            # Examples stay in the order of their names; the pipeline shuffles while it reads.
            disable_shuffling=True,
        )

    def _log_download_bytes(self) -> None:
        """Print nothing: no data set is downloaded."""

    def _log_download_done(self) -> None:
        """Print nothing: no data set is downloaded."""

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        items = self.items()
        if empty := [part for part in PARTS if not items[part]]:
            number = sum(map(len, items.values()))
            raise UserError(
                f"{self.name}: {number} images leave none for the {empty[0]} part; add images, or change the "
                "--data options that divide them"
            )
        content = hashlib.sha256(json.dumps(self.classes).encode())
        return {part: self._generate_examples(part, items[part], content) for part in PARTS}

    def _generate_examples(self, part: str, items: Sequence[Any], content: Any) -> Iterator:
        metadata: Any = self.info.metadata
        sizes = metadata["sizes"][part] = []
        present = metadata["present"][part] = []
        groups = metadata["groups"][part] = []
        examples = map_in_threads(self.example, items)
        for index, example in enumerate(progress(examples, f"Preparing {self.name}, {part}", len(items))):
            sizes.append(example.label.shape)
            present.append(np.setdiff1d(example.label, VOID).tolist())
            groups.append(example.group or example.name)
            channels = example.pixels.shape[-1]
            if channels == 3 and is_gray(example.pixels):
                channels = 1
            metadata["channels"] = max(metadata["channels"], channels)
            _update_fingerprint(content, part, example)
            yield (
                index,
                {
                    "image": io.BytesIO(example.image),
                    "label": io.BytesIO(png_bytes(example.label)),
                    "name": example.name,
                },
            )
        # TFDS writes one part after another and then the metadata: the digest of the last part covers all.
        metadata["fingerprint"] = content.hexdigest()


@contextmanager
def refuse_incomplete(directory: Path) -> Iterator[None]:
    """Turn the errors of TFDS over an incomplete prepared set into a UserError."""
    try:
        yield
    # TFDS and the parsers of its JSON files raise errors of many kinds.
    except Exception as error:
        raise UserError(f"{directory}: its JSON files are incomplete or damaged; {REBUILD}") from error


def read_example(
    name: str,
    image: Path,
    label_image: Path,
    label: np.ndarray,
    group: str | None = None,
    decoding: Decoding = DEFAULT_DECODING,
) -> Example:
    """Read an image, and return the example of the image and its label.

    Args:
        name: of the example.
        image: file to read.
        label_image: file of the label, for messages.
        label: class ids, uint8 [h, w].
        group: of the example.
        decoding: options that read the image.

    Raises:
        UserError: the image cannot be read, or its size is not that of the label.
    """
    pixels, encoded = read_image(image, decoding)
    if pixels.shape[:2] != label.shape:
        raise size_error(label_image, label.shape, image, pixels.shape)
    return Example(name, encoded, pixels, label, group)


def size_error(
    label_image: Path, label_size: Sequence[int], image: Path, image_size: Sequence[int]
) -> UserError:
    """Return the error that a label and its image differ in size; sizes begin with (height, width)."""
    label, other = (f"{size[1]}x{size[0]}" for size in (label_size, image_size))
    return UserError(
        f"{label_image}: is {label} pixels but its image {image.name} is {other}; make both the same size"
    )


def short_digest(value: Any) -> str:
    """Return twelve hex digits that identify plain lists, dictionaries, text and numbers."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def map_in_threads(make: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Map `make` over items in threads, in order; at most twice as many results as threads wait in memory.

    Python has this as `Executor.map(buffersize=...)` from 3.14 on. grain has it as well, but imports JAX,
    which nothing else in the preparation of data needs.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        futures: deque[Future] = deque()
        for item in items:
            futures.append(threads.submit(make, item))
            if len(futures) > 2 * THREADS:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()


class _OfflineInfo(tfds.core.DatasetInfo):
    """Information on a data set that TFDS does not look for in Google's storage."""

    def initialize_from_bucket(self) -> None:
        """Do nothing: the storage has no such set, and the base class leaves a temporary folder behind."""

    def read_from_directory(self, dataset_info_dir: Any) -> None:
        """Read the information in a prepared set."""
        with refuse_incomplete(dataset_info_dir):
            super().read_from_directory(dataset_info_dir)


def _update_fingerprint(content: Any, part: str, example: Example) -> None:
    """Add part, name, image and label of an example to the digest of a set.

    A losslessly compressed image enters by its pixels, because encoders differ between machines; a JPEG by
    its file, because decoders do.
    """
    image = example.image if is_jpeg(example.image) else example.pixels.tobytes()
    head = [part, example.name, example.pixels.shape, example.label.shape, len(image)]
    for field in (json.dumps(head).encode(), image, example.label.tobytes()):
        content.update(field)
