"""VGG16 without its classifier: the encoder of FCN-8s and SegNet."""

from typing import NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float, UInt8

from balanced_jax.models.layers import Mode, Unit, max_pool, max_pool_indices

STAGE_UNITS = (2, 2, 3, 3, 3)
"""3x3 convolutions of each stage."""


def stage_features(width: int) -> list[int]:
    """Return the channels of the five stages."""
    return [width * factor for factor in (1, 2, 4, 8, 8)]


class Pooled(NamedTuple):
    """Features of a stage after 2x2 max pooling, and the indices of the maxima."""

    values: Float[Array, "b h w c"]
    indices: UInt8[Array, "b h w c"]


class VGG16(nn.Module):
    """VGG16 (Simonyan, Zisserman 2015, arXiv:1409.1556, table 1, column D) without the classifier."""

    width: int
    """Channels of the first stage; the others have 2, 4, 8 and 8 times as many."""
    mode: Mode
    remat: bool = False
    """Recompute each stage in the backward pass instead of storing its activations."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> list[Pooled]:
        """Return the five stages of images whose height and width are multiples of 32."""
        stage = nn.remat(_Stage) if self.remat else _Stage
        pooled = []
        for i, (units, features) in enumerate(zip(STAGE_UNITS, stage_features(self.width), strict=True), 1):
            pooled.append(stage(units, features, self.mode, name=f"stage{i}")(x))
            x = pooled[-1].values
        return pooled


class _Stage(nn.Module):
    units: int
    features: int
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Pooled:
        for i in range(1, self.units + 1):
            x = Unit(self.features, self.mode, name=f"unit{i}")(x)
        values = max_pool(x)
        return Pooled(values, max_pool_indices(x, values))
