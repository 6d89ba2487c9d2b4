"""Images that a person drops on the page: read within limits, predicted, and kept for a while."""

import functools
import itertools
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.data.example import Decoding, Size
from train.data.formats.images import read_pixels, read_size
from train.data.pixels import with_channels
from train.errors import UserError
from train.inference.tiles import Predictor, Tiling
from train.inference.trained import Trained

LARGEST_FILE = 2**26
"""Bytes of a file that is taken."""
TOO_LARGE = f"has more than {LARGEST_FILE // 2**20} MiB, which the page does not take; use `predict`"
"""What is said of a larger one."""
MOST_PIXELS = 2**25
"""Pixels of an image that is taken; they are counted before it is decoded."""
_MOST_IMAGES = 100
"""Images that are kept; the oldest make room."""
_MEMORY = 2**30
"""Bytes of their pixels and probabilities."""
_SIZES = 8
"""Sizes of images whose programs are kept."""
_LONGEST_NAME = 200
"""Characters of a name that are kept."""

Predict = Callable[[np.ndarray], np.ndarray]
"""The probabilities of the defect classes, float32 [h, w, defects], of an image uint8 [h, w, c]."""


class Upload(NamedTuple):
    """An image of the person."""

    name: str
    """As the browser gave it; it names no file here."""
    image: np.ndarray
    """uint8 [h, w, c]."""
    probabilities: np.ndarray
    """Of each defect class, float32 [h, w, defects]."""


def predict_one_by_one(trained: Trained) -> Predict:
    """Return the network for single images, as `predict` on one image has it: compiled for each size."""

    @functools.lru_cache(maxsize=_SIZES)
    def predictor(size: Size) -> Predictor:
        return Predictor(trained.experiment, size, Tiling())

    def predict(image: np.ndarray) -> np.ndarray:
        height, width, _ = image.shape
        ((_, probabilities),) = predictor((height, width))(trained.state, [{"image": image}])
        return probabilities[..., 1:].copy()  # without the memory of the background

    return predict


class Uploads:
    """The images that were dropped last, by their number."""

    def __init__(self, decoding: Decoding, channels: int, predict: Predict):
        """Begin without images.

        Args:
            decoding: how image files become pixels.
            channels: that the network takes.
            predict: the network.
        """
        self._decoding, self._channels, self._predict = decoding, channels, predict
        self._numbers = itertools.count()
        self._kept: OrderedDict[int, Upload] = OrderedDict()

    def add(self, name: str, encoded: bytes) -> int:
        """Read and predict an image; return its number.

        Args:
            name: of the file, for the page.
            encoded: its content.

        Raises:
            UserError: the image is too large, damaged, or of a kind that the run cannot read.
        """
        image = self._read(encoded)
        upload = Upload(name[:_LONGEST_NAME], image, self._predict(image))
        number = next(self._numbers)
        self._kept[number] = upload
        while len(self._kept) > _MOST_IMAGES or (len(self._kept) > 1 and self._bytes() > _MEMORY):
            self._kept.popitem(last=False)
        return number

    def numbers(self) -> list[int]:
        """Return the numbers of the images that are kept, the oldest first."""
        return list(self._kept)

    def get(self, number: int) -> Upload | None:
        """Return an image; None if it is not kept any more."""
        return self._kept.get(number)

    def _read(self, encoded: bytes) -> np.ndarray:
        """Return the pixels of a file, uint8 [h, w, c]."""
        with tempfile.NamedTemporaryFile(prefix="train-serve-") as file:
            file.write(encoded)
            file.flush()
            path = Path(file.name)
            try:
                height, width = read_size(path)
                if height * width > MOST_PIXELS:
                    raise UserError(
                        f"{path}: has {width}x{height} pixels, more than {MOST_PIXELS}; use `predict`"
                    )
                pixels, _ = read_pixels(path, self._decoding)
            except UserError as error:
                raise UserError(f"{error}".removeprefix(f"{path}: ")) from error
        return with_channels(pixels, self._channels)

    def _bytes(self) -> int:
        return sum(each.image.nbytes + each.probabilities.nbytes for each in self._kept.values())
