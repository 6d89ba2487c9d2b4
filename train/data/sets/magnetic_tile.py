"""Magnetic tile: gray photographs of magnet faces, 1344 images of 223 tiles, every image of another size.

Each tile was photographed about six times in a row under different exposures, so images are not independent
examples. The table beside this file lists the images of each tile, so that a tile stays in one part. A few
tiles have images in the folders of several classes: a visible defect is labeled in some exposures only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorflow_datasets as tfds

from train.data.builder import Items, SegmentationBuilder, read_example
from train.data.data_set import DataSet
from train.data.example import Example
from train.data.formats.label_images import read_threshold
from train.data.sets.archive import Archive, missing_file, read_group_table
from train.data.sets.split import Traits, draw, three_parts

CLASSES = ("background", "blowhole", "break", "crack", "fray", "uneven")
FOLDERS = ("MT_Free", "MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")  # by class id
TILES = Path(__file__).with_name("magnetic_tile_tiles.txt")
_TEST_FRACTION = 1 / 5
_VALIDATION_FRACTION = 1 / 4  # of the others; a fifth of all images, so that cracks and fray are among them
_THRESHOLD = 127  # label images are gray along edges; a threshold of 0 would make cracks half as large again
_ARCHIVE = Archive(
    "Magnetic tile",
    "Magnetic-tile-defect-datasets.",  # with the dot
    "MT_{Blowhole,Break,Crack,Fray,Uneven,Free}/Imgs/exp*_num_*.jpg and .png",
    patterns=("MT_*",),
)


@dataclass(frozen=True)
class MagneticTile(DataSet):
    """Magnetic tiles with blowholes, breaks, cracks, fray and uneven faces; takes --source."""

    def builder(self, *, data_dir: Path, source: Path | None) -> "MagneticTileBuilder":
        """Return the builder of the set; the archive is read only if the set is not prepared."""
        return MagneticTileBuilder(read_tiles(), data_dir=data_dir, source=source)


class MagneticTileBuilder(SegmentationBuilder):
    """Writes the images of the archive, named "MT_Crack/exp4_num_85602".

    Copies that lack some images of MT_Free are in use; a tile is in the same part in all copies.
    """

    VERSION = tfds.core.Version("1.1.0")
    name = "magnetic_tile"

    def __init__(self, tiles: Mapping[str, str], *, data_dir: Path, source: Path | None):
        """`tiles` holds the tile that each image shows, by the name of its example."""
        self.tiles, self.source = tiles, source
        super().__init__(CLASSES, data_dir=data_dir)

    def items(self) -> Items:
        root = _ARCHIVE.root(self.source)
        names = _find_images(root, self.tiles)
        _ARCHIVE.warn_of_missing(names, len(self.tiles))
        # The whole table is divided: images that a copy lacks change the part of no tile.
        return {
            part: [(root, name) for name in sorted(published & names)]
            for part, published in divide(self.tiles).items()
        }

    def example(self, item: tuple[Path, str]) -> Example:
        root, name = item
        image, label_image = _path(root, name, ".jpg"), _path(root, name, ".png")
        # An image of a class whose label image is empty is taken as a clean image.
        label = read_threshold(label_image, _THRESHOLD) * class_id(name)
        return read_example(name, image, label_image, label, self.tiles[name])


def divide(tiles: Mapping[str, str]) -> dict[str, set[str]]:
    """Return names by part, each tile in one part, with classes as frequent as in all images."""
    traits = {name: Traits(tile, frozenset({0, class_id(name)})) for name, tile in tiles.items()}
    return three_parts(traits, draw(traits, _TEST_FRACTION, seed=0), _VALIDATION_FRACTION)


def class_id(name: str) -> int:
    """Return the class of the folder of an image; 0 for MT_Free."""
    return FOLDERS.index(name.partition("/")[0])


def read_tiles() -> dict[str, str]:
    """Return the tile that each image of the set shows, as the name of the tile's first image."""

    def image_name(entry: str) -> str:
        k, exposure, counter = entry.split("-")
        return f"{FOLDERS[int(k)]}/exp{exposure}_num_{counter}"

    return read_group_table(TILES, image_name)


def _path(root: Path, name: str, suffix: str) -> Path:
    """Return the path of the image (.jpg) or label image (.png) of an example."""
    folder, _, stem = name.partition("/")
    return root / folder / "Imgs" / f"{stem}{suffix}"


def _find_images(root: Path, published: Mapping[str, str]) -> set[str]:
    """Return the names of the images with label images: all with a defect, and the present ones of MT_Free.

    Raises:
        UserError: an image or label image is missing, or a file is not of the published set.
    """
    files = {
        suffix: {f"{path.parent.parent.name}/{path.stem}" for path in root.glob(f"MT_*/Imgs/*{suffix}")}
        for suffix in (".jpg", ".png")
    }
    for suffix, names in files.items():
        if unknown := sorted(names - published.keys()):
            raise _ARCHIVE.unknown_file(_path(root, unknown[0], suffix))
    required = {name for name in published if class_id(name)}.union(*files.values())
    for suffix, names in files.items():
        if missing := sorted(required - names):
            raise missing_file(_path(root, missing[0], suffix), len(missing) - 1)
    return required
