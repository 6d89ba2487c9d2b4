"""Magnetic tile: grey photographs of magnet faces, 1344 images of 223 tiles, every image of another size.

Each tile was photographed about six times in a row, under other exposures, so images are no independent
examples. The table beside this file says which ones show the same tile, to keep each tile on one side. A few
tiles are filed under several classes: the same visible defect is labelled in some exposures only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder
from train.data.example import DataSet, Example
from train.data.formats.images import check_sizes, read_image
from train.data.formats.label_images import read_threshold
from train.data.sets.original import Original
from train.data.sets.split import Traits, draw, with_validation
from train.errors import UserError

CLASSES = ("background", "blowhole", "break", "crack", "fray", "uneven")
FOLDERS = ("MT_Free", "MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")  # by class id
TEST_SHARE = 1 / 5
VALIDATION_SHARE = 1 / 4  # of what is not test; a fifth of all, so that it shows cracks and fray as well
THRESHOLD = 127  # masks are grey along their edges; with 0, cracks would be half as large again
TILES = Path(__file__).with_name("magnetic_tile_tiles.txt")
ORIGINAL = Original(
    "Magnetic tile",
    "Magnetic-tile-defect-datasets.",  # with the dot
    "MT_{Blowhole,Break,Crack,Fray,Uneven,Free}/Imgs/exp*_num_*.jpg and .png",
    inside=("MT_*",),
)


@dataclass(frozen=True)
class MagneticTile(DataSet):
    """Magnetic tiles with blowholes, breaks, cracks, fray and uneven faces; takes --source."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "MagneticTileSurfaces":
        """The builder of the set; it reads the original only if the set is not prepared."""
        return MagneticTileSurfaces(read_tiles(TILES), data_dir=data_dir, source=source)


class MagneticTileSurfaces(SegmentationBuilder):
    """Writes the images of the original, named "MT_Crack/exp4_num_85602".

    Copies without some of the images in MT_Free are in use; a tile stands on the same side in all of them.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES: ClassVar = {
        "1.1.0": "Raised whenever the division into parts, or what is kept about an image, changes."
    }
    name = "magnetic_tile"

    def __init__(self, tiles: Mapping[str, str], *, data_dir: Path, source: Path | None):
        """`tiles` gives for each image, named as its example, the tile that it shows."""
        self.tiles, self.source = tiles, source
        super().__init__(CLASSES, data_dir=data_dir)

    def items(self) -> Items:
        root = ORIGINAL.root(self.source)
        there = find_images(root, self.tiles)
        ORIGINAL.count(there, len(self.tiles))
        # The whole table is divided: what a copy lacks moves no tile to another side.
        return {
            part: [(root, name) for name in sorted(names & there)]
            for part, names in divide(self.tiles).items()
        }

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        image, mask = file_of(root, name, ".jpg"), file_of(root, name, ".png")
        pixels, encoded = read_image(image)
        # An empty mask in the folder of a defect is kept as what it is, a clean image.
        label = read_threshold(mask, THRESHOLD) * class_of(name)
        check_sizes(image, pixels, mask, label)
        return Example(name, encoded, pixels, label, self.tiles[name])


def divide(tiles: Mapping[str, str]) -> dict[str, set[str]]:
    """Names by part, each tile in one of them, the classes of the folders mixed as in all of the set."""
    traits = {name: Traits(tile, frozenset({0, class_of(name)})) for name, tile in tiles.items()}
    return with_validation(traits, draw(traits, TEST_SHARE, seed=0), VALIDATION_SHARE)


def class_of(name: str) -> int:
    """The class that an image's folder stands for; 0 for those in MT_Free."""
    return FOLDERS.index(name.partition("/")[0])


def file_of(root: Path, name: str, suffix: str) -> Path:
    """The image (.jpg) or mask (.png) of an example."""
    folder, _, stem = name.partition("/")
    return root / folder / "Imgs" / f"{stem}{suffix}"


def read_tiles(table: Path) -> dict[str, str]:
    """For each image of the set, as "MT_Crack/exp4_num_85602", a name of the tile that it shows."""
    tiles = {}
    for line in table.read_text().splitlines():
        if not line.startswith("#"):
            images = [image.split("-") for image in line.split()]
            names = [f"{FOLDERS[int(k)]}/exp{exposure}_num_{counter}" for k, exposure, counter in images]
            tiles |= dict.fromkeys(names, names[0])
    return tiles


def find_images(root: Path, published: Mapping[str, str]) -> set[str]:
    """Names of the images that are there with their masks: all with a defect, and any of MT_Free.

    Raises:
        UserError: an image or mask is missing, or no file of the published set.
    """
    found = {
        suffix: {f"{path.parent.parent.name}/{path.stem}" for path in root.glob(f"MT_*/Imgs/*{suffix}")}
        for suffix in (".jpg", ".png")
    }
    for suffix, names in found.items():
        if strange := sorted(names - published.keys()):
            raise UserError(f"{file_of(root, strange[0], suffix)}: no file of Magnetic tile; remove it")
    there = {name for name in published if class_of(name)}.union(*found.values())
    for suffix, names in found.items():
        if missing := sorted(there - names):
            raise UserError(
                f"{file_of(root, missing[0], suffix)}: missing, with {len(missing) - 1} more; unpack the "
                "original again (only images of MT_Free may be left out, with their masks)"
            )
    return there
