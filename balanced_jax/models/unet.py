"""U-Net: an encoder and a decoder joined level by level."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models._network import Network
from balanced_jax.models.layers import Dropout, Mode, Unit, max_pool, pad_to_multiple


class UNet(Network):
    """U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, figure 1), padded and with norms.

    Two 3x3 convolutions per level, 2x2 max pooling down, 2x2 deconvolution up. Each level has twice the
    channels of the level above: with the published widths (64 to 1024), 31.0 million parameters.
    """

    depth: int = 4
    """Levels below the finest one."""
    dropout: float = 0.0
    """Fraction of the coarsest level's activations that is dropped in training."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        mode = self.mode(train)
        two_units = nn.remat(_TwoUnits) if self.remat else _TwoUnits
        features = [self.width * 2**level for level in range(self.depth + 1)]
        x = jnp.asarray(images, self.dtype)
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, 2**self.depth)

        skips = []
        for level in range(self.depth):
            x = two_units(features[level], mode, name=f"encoder{level + 1}")(x)
            skips.append(x)
            x = max_pool(x)
        x = two_units(features[-1], mode, name="bottom")(x)
        x = Dropout(self.dropout, mode)(x)
        for level in reversed(range(self.depth)):
            x = _Deconvolution(features[level], self.dtype, name=f"upsample{level + 1}")(x)
            x = jnp.concatenate([skips[level], x], axis=-1)
            x = two_units(features[level], mode, name=f"decoder{level + 1}")(x)
        # A convolution by XLA: `Convolution` would multiply matrices, which rounds differently.
        logits = nn.Conv(self.num_classes, (1, 1), dtype=jnp.float32, name="logits")(x)
        return logits[:, :height, :width]


class _TwoUnits(nn.Module):
    """The two convolutions of a level."""

    features: int
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        # The initial values with which the published results of this project were measured.
        kernel_init = nn.initializers.lecun_normal()
        x = Unit(self.features, self.mode, kernel_init=kernel_init, name="unit1")(x)
        return Unit(self.features, self.mode, kernel_init=kernel_init, name="unit2")(x)


class _Deconvolution(nn.Module):
    """Transposed 2x2 convolution of stride 2: each pixel becomes a 2x2 block."""

    features: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w features"]:
        # Blocks do not overlap, so a matrix product and a reshape suffice; XLA's transposed convolution takes
        # twice as long on a CPU.
        b, h, w, _ = x.shape
        blocks = nn.DenseGeneral((2, 2, self.features), use_bias=False, dtype=self.dtype, name="blocks")(x)
        bias = self.param("bias", nn.initializers.zeros, (1, 1, 1, self.features), jnp.float32)
        blocks = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, self.features)
        return blocks + bias.astype(self.dtype)
