"""U-Net: an encoder and a decoder joined level by level."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models._network import Network
from balanced_jax.models.layers import Dropout, Mode, max_pool, pad_to_multiple


class UNet(Network):
    """Encoder and decoder joined level by level.

    The published network with padded convolutions and batch normalization: two 3x3 convolutions a level, 2x2
    max pooling down, 2x2 deconvolution up. Each level has twice the channels of the one above: with the
    published widths (64 to 1024), 31.0 million parameters.

    Images are padded with zeros at the bottom and on the right to a multiple of `2**depth`; the logits are
    cropped back.

    References:
        Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, figure 1.
    """

    depth: int = 4
    """Levels below the finest one."""
    dropout: float = 0.0
    """Fraction of the coarsest level's activations that is dropped in training."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        mode = self.mode(train)
        convolve_twice = UNet._convolve_twice
        if self.remat:
            convolve_twice = nn.remat(convolve_twice, static_argnums=(2, 3))
        x = jnp.asarray(images, self.dtype)
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, 2**self.depth)
        skips = []
        for level in range(self.depth):
            x = convolve_twice(self, x, self.width * 2**level, mode)
            skips.append(x)
            x = max_pool(x)
        x = convolve_twice(self, x, self.width * 2**self.depth, mode)
        x = Dropout(self.dropout, mode)(x)
        for level in reversed(range(self.depth)):
            x = _Deconvolution(self.width * 2**level, dtype=self.dtype)(x)
            x = jnp.concatenate([skips[level], x], axis=-1)
            x = convolve_twice(self, x, self.width * 2**level, mode)
        logits = nn.Conv(self.num_classes, (1, 1), dtype=jnp.float32, name="logits")(x)
        return logits[:, :height, :width]

    def _convolve_twice(
        self, x: Float[Array, "b h w c"], features: int, mode: Mode
    ) -> Float[Array, "b h w features"]:
        for _ in range(2):
            x = nn.Conv(features, (3, 3), use_bias=False, dtype=self.dtype)(x)
            x = mode.normalization(features)(x)
            x = nn.relu(x)
        return x


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
        bias = self.param("bias", nn.initializers.zeros, (1, 1, 1, self.features)).astype(self.dtype)
        return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, self.features) + bias
