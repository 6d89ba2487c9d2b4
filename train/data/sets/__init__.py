"""The data sets that a config can name; one file each, with its builder."""

from train.data.sets.folder import Folder
from train.data.sets.generated import Generated
from train.data.sets.kolektor_sdd import KolektorSDD
from train.data.sets.kolektor_sdd2 import KolektorSDD2
from train.data.sets.magnetic_tile import MagneticTile
from train.data.sets.neu_seg import NeuSeg
from train.data.sets.severstal import Severstal
from train.data.sets.topomortar import TopoMortar

__all__ = [
    "Folder",
    "Generated",
    "KolektorSDD",
    "KolektorSDD2",
    "MagneticTile",
    "NeuSeg",
    "Severstal",
    "TopoMortar",
]
