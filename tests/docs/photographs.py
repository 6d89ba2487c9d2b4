"""A folder of photographs with LabelMe files, as the page of one's own images has it."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.measure import find_contours

from train.data.sets.surface import paint

NAMES = {"spot": 2, "scratch": 1, "pit": 3}
"""Class ids of the generated surfaces; later shapes lie on top."""


def photograph(folder: Path, coils: int, size: int, first: int = 1) -> None:
    """Write two photographs of each coil, and a LabelMe file for those that show a defect."""
    folder.mkdir()
    for coil in range(first, first + coils):
        for side in "ab":
            image, label = paint(np.random.default_rng((0, coil, ord(side))), size)
            name = f"coil{coil:02d}_{side}"
            Image.fromarray(image).save(folder / f"{name}.png")
            if shapes := [shape for kind, k in NAMES.items() for shape in _shapes(label == k, kind)]:
                content = {"imagePath": f"{name}.png", "imageHeight": size, "imageWidth": size}
                (folder / f"{name}.json").write_text(json.dumps({**content, "shapes": shapes}))


def _shapes(where: np.ndarray, kind: str) -> list[dict]:
    """Return the outlines of a class as polygons of LabelMe."""
    outlines = (contour[:-1, ::-1] - 0.5 for contour in find_contours(np.pad(where, 1).astype(float), 0.5))
    return [
        {"label": kind, "shape_type": "polygon", "points": outline.clip(0, len(where)).tolist()}
        for outline in outlines
        if len(outline) > 2
    ]
