"""FCN-8s: VGG16 as a convolutional network, with the sum of logits of three strides."""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models._network import Network
from balanced_jax.models.layers import Convolution, Dropout, pad_to_multiple, resize
from balanced_jax.models.vgg import VGG16


class FCN8s(Network):
    """FCN-8s (Long, Shelhamer, Darrell 2015, arXiv:1411.4038, figure 3): VGG16, fully convolutional.

    Logits of strides 32, 16 and 8 are summed. With `norm="none"` and the published width, the layers are
    those of the published network: 134 million parameters. Two things differ: the 7x7 convolution is padded
    by 3, where the original pads images by 100 and crops later, and the last, fixed upsampling
    (`align_corners=False`) does not fade towards the border.
    """

    norm: Literal["batch", "group", "none"] = "batch"  # pyright: ignore[reportIncompatibleVariableOverride]
    """Normalization after each 3x3 convolution; "none" is the published network."""
    dropout: float = 0.5
    """Fraction of the activations of the two fully connected layers that is dropped in training."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        mode = self.mode(train)
        x = jnp.asarray(images, self.dtype)
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, 32)
        padded_size = x.shape[1:3]

        stages = VGG16(self.width, mode, self.remat, name="backbone")(x)
        _, _, pool3, pool4, x = (stage.values for stage in stages)
        x = nn.relu(Convolution(64 * self.width, 7, bias=True, dtype=self.dtype, name="fc6")(x))
        x = Dropout(self.dropout, mode)(x)
        x = nn.relu(Convolution(64 * self.width, 1, bias=True, dtype=self.dtype, name="fc7")(x))
        x = Dropout(self.dropout, mode)(x)

        logits = Convolution(self.num_classes, 1, bias=True, name="logits32")(x)
        logits = _deconvolution(self.num_classes, "upsample32")(logits)
        logits += Convolution(self.num_classes, 1, bias=True, name="logits16")(pool4)
        logits = _deconvolution(self.num_classes, "upsample16")(logits)
        logits += Convolution(self.num_classes, 1, bias=True, name="logits8")(pool3)
        return resize(logits, padded_size)[:, :height, :width]


def _deconvolution(num_classes: int, name: str) -> nn.Module:
    """Learned 2x upsampling, initialized to bilinear interpolation of each class."""
    return nn.ConvTranspose(
        num_classes, (4, 4), (2, 2), use_bias=False, kernel_init=_bilinear, dtype=jnp.float32, name=name
    )


def _bilinear(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Float[Array, "4 4 c c"]:
    ramp = np.array([0.25, 0.75, 0.75, 0.25])
    return jnp.asarray(np.einsum("i,j,kl->ijkl", ramp, ramp, np.eye(shape[-1])), dtype)
