"""PSPNet: average pooling over a pyramid of regions on a dilated ResNet."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models._network import Network
from balanced_jax.models.layers import AuxiliaryHead, Convolution, Dropout, Unit, resize
from balanced_jax.models.resnet import ResNet

_BINS = (1, 2, 3, 6)
"""Regions along each side of the image, level by level."""


class PSPNet(Network):
    """PSPNet (Zhao, Shi, Qi, Wang, Jia 2017, arXiv:1612.01105, figure 3) on a dilated ResNet-50.

    The published network but for torchvision's ResNet-50, whose stem is one 7x7 convolution instead of three
    of 3x3, and for resizing with `align_corners=False` instead of True. 49.0 million parameters.
    """

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Bottlenecks of the four stages; (3, 4, 23, 3) is ResNet-101."""
    output_stride: Literal[8, 16] = 8
    """Pixels between neighboring features; 8 is finer, 16 takes a third of the time."""
    auxiliary: bool = True
    """Train the third stage with logits of its own, too (collection `auxiliary`)."""
    dropout: float = 0.1
    """Fraction of the activations of both heads that is dropped in training."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        mode = self.mode(train)
        x = jnp.asarray(images, self.dtype)
        size = x.shape[1:3]

        backbone = ResNet(self.width, self.blocks, self.output_stride, mode, self.remat, name="backbone")
        _, _, stage3, x = backbone(x)
        if self.auxiliary:
            AuxiliaryHead(self.num_classes, self.dropout, mode, name="auxiliary")(stage3, size)

        levels = [x]
        for bins in _BINS:
            level = Unit(8 * self.width, mode, kernel=1, name=f"level{bins}")(adaptive_average_pool(x, bins))
            levels.append(resize(level, x.shape[1:3]))
        x = Unit(8 * self.width, mode, name="head")(jnp.concatenate(levels, axis=-1))
        x = Dropout(self.dropout, mode)(x)
        return resize(Convolution(self.num_classes, 1, bias=True, name="logits")(x), size)


def adaptive_average_pool(x: Float[Array, "b h w c"], bins: int) -> Float[Array, "b bins bins c"]:
    """float32 averages over bins x bins regions, which overlap where bins does not divide the size."""
    rows, columns = (_averaging_matrix(size, bins) for size in x.shape[1:3])
    return jnp.einsum("ih,jw,bhwc->bijc", rows, columns, x, precision="highest")


def _averaging_matrix(size: int, bins: int) -> Float[Array, "bins size"]:
    """Weights of the averages from floor(i * size / bins) to ceil((i + 1) * size / bins)."""
    i, position = jnp.arange(bins)[:, None], jnp.arange(size)[None]
    inside = (position >= i * size // bins) & (position < -(-(i + 1) * size // bins))
    return (inside / inside.sum(1, keepdims=True)).astype(jnp.float32)
