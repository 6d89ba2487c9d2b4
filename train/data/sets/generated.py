"""A data set without files: images of metal surfaces, painted when the set is prepared."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, short_digest
from train.data.data_set import DataSet
from train.data.example import PARTS, Example
from train.data.pixels import png_bytes
from train.data.sets.surface import paint
from train.errors import UserError
from train.field_types import check_types

_MOST_IMAGES = 10**6
_LARGEST_SIZE = 8192


@dataclass(frozen=True)
class Generated(DataSet):
    """Gray machined metal with scratches, spots and pits, and clean surfaces (2 of 5)."""

    train: int = 480
    """Training images."""
    validation: int = 80
    """Validation images."""
    test: int = 160
    """Test images."""
    size: int = 128
    """Height and width in pixels."""
    seed: int = 0
    """Seed of the images."""

    def __post_init__(self):
        check_types(Generated, self, "data.")
        numbers = self.train, self.validation, self.test
        if not (1 <= min(numbers) <= max(numbers) <= _MOST_IMAGES and 32 <= self.size <= _LARGEST_SIZE):
            raise UserError(
                f"data: {self} cannot be painted; every part takes 1 to {_MOST_IMAGES} images and size 32 to "
                f"{_LARGEST_SIZE}"
            )
        if self.seed < 0:
            raise UserError(f"data.seed: is {self.seed}, takes at least 0")

    def builder(self, *, data_dir: Path, source: Path | None) -> "GeneratedBuilder":
        """Return the builder of these images; `source` is not used."""
        return GeneratedBuilder(self, data_dir=data_dir)


class GeneratedBuilder(SegmentationBuilder):
    """Writes the images of `surface.paint`."""

    VERSION = tfds.core.Version("1.2.0")
    name = "generated"

    def __init__(self, data: Generated, *, data_dir: Path):
        self.data = data
        classes = ("background", "scratch", "spot", "pit")
        super().__init__(classes, data_dir=data_dir / short_digest(dataclasses.asdict(data)))

    def items(self) -> Items:
        return {part: [(part, index) for index in range(getattr(self.data, part))] for part in PARTS}

    def example(self, item: tuple[str, int]) -> Example:
        part, index = item
        rng = np.random.default_rng((self.data.seed, PARTS.index(part), index))
        image, label = paint(rng, self.data.size)
        return Example(f"{part}/{index:05d}", png_bytes(image), image[..., None], label)
