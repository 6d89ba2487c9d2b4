"""Fixtures that write image files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.image_files import save

Draw = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Draw:
    """Writes a gray or RGB image of random pixels, `picture("images/a.png", size=(h, w))`."""

    def write(name: str, size: tuple[int, ...] = (12, 16), seed: int = 0, **options) -> Path:
        pixels = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
        return save(Image.fromarray(pixels), tmp_path / name, **options)

    return write


@pytest.fixture
def label_image(tmp_path: Path) -> Draw:
    """Writes a label that is `value` in one corner and 0 elsewhere, `label_image("masks/a.png", 1)`."""

    def write(name: str, value: int = 1, size: tuple[int, int] = (12, 16)) -> Path:
        labels = np.zeros(size, np.uint8)
        labels[:3, :5] = value
        return save(Image.fromarray(labels), tmp_path / name)

    return write


@pytest.fixture
def eight_images(tmp_path: Path, picture: Draw, label_image: Draw) -> Path:
    """Writes eight photographs with label images in two folders, half of them clean; returns their root."""
    for number in range(8):
        picture(f"images/part {number}.jpg", seed=number)
        label_image(f"masks/part {number}.png", number % 2)
    return tmp_path
