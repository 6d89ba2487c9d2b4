"""Made-up image files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.image_files import save

Draw = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Draw:
    """Writes a grey or RGB photograph of random pixels, `picture("images/a.png", size=(h, w))`."""

    def write(name: str, size: tuple[int, ...] = (12, 16), seed: int = 0, **options) -> Path:
        pixels = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
        return save(Image.fromarray(pixels), tmp_path / name, **options)

    return write


@pytest.fixture
def mask(tmp_path: Path) -> Draw:
    """Writes labels that are `value` in one corner and 0 elsewhere, `mask("masks/a.png", 1)`."""

    def write(name: str, value: int = 1, size: tuple[int, int] = (12, 16)) -> Path:
        labels = np.zeros(size, np.uint8)
        labels[:3, :5] = value
        return save(Image.fromarray(labels), tmp_path / name)

    return write
