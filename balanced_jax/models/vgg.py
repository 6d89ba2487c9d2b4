"""VGG16 without its classifier: the encoder of FCN-8s and SegNet."""

from typing import NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float, UInt8

from balanced_jax.models.layers import Mode, Unit, max_places, max_pool

STAGES = (2, 2, 3, 3, 3)
"""3x3 convolutions between one pooling and the next."""


def stage_features(width: int) -> list[int]:
    """Channels of the five stages."""
    return [width * factor for factor in (1, 2, 4, 8, 8)]


class Pooled(NamedTuple):
    """A stage after 2x2 max pooling."""

    values: Float[Array, "b h w c"]
    places: UInt8[Array, "b h w c"]
    """Where in its block the largest value stood."""


class VGG16(nn.Module):
    """Five stages of 3x3 convolutions, each followed by 2x2 max pooling.

    References:
        Simonyan, Zisserman 2015, arXiv:1409.1556, table 1, column D.
    """

    width: int
    """Channels of the first stage; the others have 2, 4, 8 and 8 times as many."""
    mode: Mode
    remat: bool = False
    """Compute each stage again in the backward pass instead of keeping its activations."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> list[Pooled]:
        """The five pooled stages of images whose height and width are multiples of 32."""
        stage = nn.remat(Stage) if self.remat else Stage
        pooled = []
        for i, (units, features) in enumerate(zip(STAGES, stage_features(self.width), strict=True), 1):
            pooled.append(stage(units, features, self.mode, name=f"stage{i}")(x))
            x = pooled[-1].values
        return pooled


class Stage(nn.Module):
    """Some units and the pooling."""

    units: int
    features: int
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Pooled:
        for j in range(1, self.units + 1):
            x = Unit(self.features, self.mode, name=f"unit{j}")(x)
        values = max_pool(x)
        return Pooled(values, max_places(x, values))
