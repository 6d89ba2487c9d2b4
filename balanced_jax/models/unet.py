"""U-Net: an encoder and a decoder joined level by level."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


class UNet(nn.Module):
    """Encoder and decoder joined level by level.

    The published network with padded convolutions and batch normalisation: two 3x3 convolutions a level,
    2x2 max pooling down, 2x2 deconvolution up. With the published widths (64 to 1024) it has 31.0 million
    parameters.

    Any input size is taken: images are padded with zeros at the bottom and on the right to a multiple of
    `2**depth`, and the logits are cropped back.

    References:
        Ronneberger, Fischer, Brox 2015, arXiv:1505.04597, figure 1.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of the finest level; each level below has twice as many."""
    depth: int = 4
    """Levels below the finest one."""
    dtype: str = "float32"
    """Type of the computation; parameters and logits are float32 whatever it is."""
    axis_name: str | None = None
    """Mapped axis over whose devices the batch statistics are shared."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        """Scores every pixel.

        Args:
            images: normalised to about zero mean and unit deviation.
            train: whether to normalise by the batch, and to update the running statistics (collection
                `batch_stats`, which must then be mutable).

        Returns:
            float32 logits at the size of the input.
        """
        x = jnp.asarray(images, self.dtype)
        height, width = x.shape[1:3]
        x = _pad_to_multiple(x, 2**self.depth)
        skips = []
        for level in range(self.depth):
            x = self._double_convolution(x, self.width * 2**level, train=train)
            skips.append(x)
            x = _max_pool(x)
        x = self._double_convolution(x, self.width * 2**self.depth, train=train)
        for level in reversed(range(self.depth)):
            x = _Deconvolution(self.width * 2**level, dtype=self.dtype)(x)
            x = jnp.concatenate([skips[level], x], axis=-1)
            x = self._double_convolution(x, self.width * 2**level, train=train)
        logits = nn.Conv(self.num_classes, (1, 1), dtype=jnp.float32, name="logits")(x)
        return logits[:, :height, :width]

    def _double_convolution(
        self, x: Float[Array, "b h w c"], features: int, *, train: bool
    ) -> Float[Array, "b h w features"]:
        for _ in range(2):
            x = nn.Conv(features, (3, 3), use_bias=False, dtype=self.dtype)(x)
            x = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                dtype=self.dtype,
                axis_name=self.axis_name if train else None,
            )(x)
            x = nn.relu(x)
        return x


class _Deconvolution(nn.Module):
    """Transposed 2x2 convolution of stride 2: each pixel becomes a 2x2 block."""

    features: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w features"]:
        # Blocks do not overlap, so a matrix product and a reshape do it; XLA's transposed convolution
        # takes twice as long on a CPU.
        b, h, w, _ = x.shape
        blocks = nn.DenseGeneral((2, 2, self.features), use_bias=False, dtype=self.dtype, name="blocks")(x)
        bias = self.param("bias", nn.initializers.zeros, (1, 1, 1, self.features)).astype(self.dtype)
        return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, self.features) + bias


def _max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    """Largest value of each 2x2 block; a reshape, because reduce_window differentiates slowly."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def _pad_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b H W c"]:
    h, w = x.shape[1:3]
    return jnp.pad(x, ((0, 0), (0, -h % multiple), (0, -w % multiple), (0, 0)))
