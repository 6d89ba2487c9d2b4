"""PSPNet: means over a pyramid of regions on a dilated ResNet."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models.layers import Convolution, Dropout, FCNHead, Mode, Unit, resize
from balanced_jax.models.resnet import ResNet

BINS = (1, 2, 3, 6)
"""Regions along each side of the image, level by level."""


class PSPNet(nn.Module):
    """ResNet-50 with dilation, and means over 1, 4, 9 and 36 regions beside its features.

    The authors' network with torchvision's ResNet-50, whose stem is one 7x7 convolution where theirs is three
    of 3x3, and with `align_corners=False` where they resize with True. 49.0 million parameters. Any input
    size is taken.

    References:
        Zhao, Shi, Qi, Wang, Jia 2017, arXiv:1612.01105, figure 3.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of ResNet's stem; all others follow."""
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Bottlenecks of the four stages; (3, 4, 23, 3) is ResNet-101."""
    output_stride: Literal[8, 16] = 8
    """Pixels between neighbouring features; 8 is finer, 16 takes a third of the time."""
    auxiliary: bool = True
    """Score the third stage as well in training (collection `auxiliary`, where it is mutable)."""
    norm: Literal["batch", "group"] = "batch"
    """Norm after each convolution."""
    dropout: float = 0.1
    """Share of the heads' activations that is dropped in training."""
    dtype: str = "float32"
    """Type of the computation; parameters and logits are float32 whatever it is."""
    remat: bool = False
    """Compute the encoder again in the backward pass: less memory, more time."""
    axis_name: str | None = None
    """Mapped axis over whose devices the batch statistics are shared."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        """Scores every pixel.

        Args:
            images: normalised to about zero mean and unit deviation.
            train: whether to drop (key `dropout`), to normalise by the batch, and to update the running
                statistics (collection `batch_stats`, which must then be mutable).

        Returns:
            float32 logits at the size of the input.
        """
        mode = Mode(train, self.norm, self.dtype, self.axis_name)
        x = jnp.asarray(images, self.dtype)
        size = x.shape[1:3]

        *_, middle, x = ResNet(
            self.width, self.blocks, self.output_stride, mode, self.remat, name="backbone"
        )(x)
        if self.auxiliary and (train or self.is_initializing()):
            scores = FCNHead(self.num_classes, self.dropout, mode, name="auxiliary")(middle)
            if not self.is_initializing():
                self.sow("auxiliary", "scores", resize(scores, size))

        levels = [x]
        for bins in BINS:
            level = Unit(8 * self.width, mode, kernel=1, name=f"level{bins}")(region_means(x, bins))
            levels.append(resize(level, x.shape[1:3]))
        x = Unit(8 * self.width, mode, name="head")(jnp.concatenate(levels, axis=-1))
        x = Dropout(self.dropout, mode)(x)
        return resize(Convolution(self.num_classes, 1, bias=True, name="logits")(x), size)


def region_means(x: Float[Array, "b h w c"], bins: int) -> Float[Array, "b bins bins c"]:
    """float32 means over bins x bins regions, which overlap where they do not divide the size."""
    rows, columns = (_averages(size, bins) for size in x.shape[1:3])
    return jnp.einsum("ih,jw,bhwc->bijc", rows, columns, x, precision="highest")


def _averages(size: int, bins: int) -> Float[Array, "bins size"]:
    """The matrix that takes means from floor(i * size / bins) to ceil((i + 1) * size / bins)."""
    i, place = jnp.arange(bins)[:, None], jnp.arange(size)[None]
    inside = (place >= i * size // bins) & (place < -(-(i + 1) * size // bins))
    return (inside / inside.sum(1, keepdims=True)).astype(jnp.float32)
