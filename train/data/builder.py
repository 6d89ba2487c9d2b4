"""What all data sets share: how an example is stored, accounted for and read back.

A prepared set holds encoded bytes; TFDS writes them to array_record without TensorFlow as long as it is
handed files, never arrays.
"""

import abc
import functools
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

from train.data.example import PARTS, VOID, Example
from train.data.pixels import is_grey, is_jpeg, png_bytes
from train.errors import UserError
from train.run.log import progress

THREADS = min(16, os.cpu_count() or 1)
"""That make examples."""

REBUILD = "delete this folder, and the command builds it again"
"""What to do about a prepared set that is not whole."""

Items = Mapping[str, Sequence[Any]]
"""For each part the items that a builder turns into examples."""


class OfflineInfo(tfds.core.DatasetInfo):
    """What TFDS knows about a set, without asking Google's storage for it."""

    def initialize_from_bucket(self) -> None:
        """Nothing there is about these sets; the base class also leaves a temporary folder behind."""

    def read_from_directory(self, dataset_info_dir: Any) -> None:
        """What a prepared set says of itself."""
        with halves_refused(dataset_info_dir):
            super().read_from_directory(dataset_info_dir)


@contextmanager
def halves_refused(directory: Path) -> Iterator[None]:
    """Turns what TFDS raises over a prepared set that is not whole into a UserError."""
    try:
        yield
    # TFDS and the parsers of its JSON files raise errors of many kinds.
    except Exception as error:
        raise UserError(f"{directory}: its JSON files are not whole; {REBUILD}") from error


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders: writes examples, and what is known about them into the metadata.

    The metadata holds the class names, the number of channels (1 when every image is grey, 3 when some are
    RGB, else what all of them have), the fingerprint, and of each example its (height, width), the classes
    it shows and its group, so that none has to be decoded to be known.
    """

    def __init_subclass__(cls, **options: Any):
        # Nobody looks builders up by name, and a configuration that defines one may be loaded twice.
        super().__init_subclass__(skip_registration=True, **options)

    def __init__(self, classes: Sequence[str], *, data_dir: Path):
        self.classes = tuple(classes)
        super().__init__(data_dir=data_dir)

    @functools.cached_property
    def plan(self) -> Items:
        """The items, looked up once."""
        return self.items()

    @abc.abstractmethod
    def items(self) -> Items:
        """The items of every part, each part sorted by the name of its examples."""

    @abc.abstractmethod
    def example(self, item: Any) -> Example:
        """The example that an item stands for."""

    def _info(self) -> tfds.core.DatasetInfo:
        return OfflineInfo(
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
            # Kept in the order of the names; the pipeline shuffles while it reads.
            disable_shuffling=True,
        )

    def _log_download_bytes(self) -> None:
        """Print nothing: no data set is downloaded."""

    def _log_download_done(self) -> None:
        """Print nothing: no data set is downloaded."""

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        items = self.plan
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
        examples = ahead(self.example, items)
        for index, example in enumerate(progress(examples, f"Preparing {self.name}, {part}", len(items))):
            sizes.append(example.label.shape)
            present.append(np.setdiff1d(example.label, VOID).tolist())
            groups.append(example.group or example.name)
            number = example.pixels.shape[-1]
            if number == 3 and is_grey(example.pixels):
                number = 1
            metadata["channels"] = max(metadata["channels"], number)
            update_fingerprint(content, part, example)
            yield (
                index,
                {
                    "image": io.BytesIO(example.image),
                    "label": io.BytesIO(png_bytes(example.label)),
                    "name": example.name,
                },
            )
        # TFDS writes the parts one after the other and the metadata last, so the last digest is the set's.
        metadata["fingerprint"] = content.hexdigest()


def short_digest(value: Any) -> str:
    """Return twelve hex digits that identify plain lists, dictionaries, text and numbers."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def update_fingerprint(content: Any, part: str, example: Example) -> None:
    """Add an example to the digest of a set: its part, name, image and labels.

    Pixels where the coding is lossless, because compressors differ from machine to machine; the file's bytes
    where it is JPEG, because decoders do.
    """
    image = example.image if is_jpeg(example.image) else example.pixels.tobytes()
    head = [part, example.name, example.pixels.shape, example.label.shape, len(image)]
    for field in (json.dumps(head).encode(), image, example.label.tobytes()):
        content.update(field)


def ahead(make: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """What is made of each item, in order; threads make a few ahead."""
    with ThreadPoolExecutor(THREADS) as threads:
        begun: deque[Future] = deque()
        for item in items:
            begun.append(threads.submit(make, item))
            if len(begun) > 2 * THREADS:  # more would fill the memory with large images
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
