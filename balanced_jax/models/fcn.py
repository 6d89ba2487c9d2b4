"""FCN-8s: VGG16 as a convolutional network, with the scores of three strides added up."""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models.layers import Convolution, Dropout, Mode, pad_to_multiple, resize
from balanced_jax.models.vgg import VGG16


class FCN8s(nn.Module):
    """VGG16 and its fully connected layers as convolutions; scores of strides 32, 16 and 8 added up.

    With `norm="none"` and the published width it has the layers of the published network: 134 million
    parameters. Two things differ: the 7x7 convolution is padded by 3 where the original pads images by 100
    and crops later, and the last, fixed upsampling (`align_corners=False`) does not fade towards the border.

    Any input size is taken: images are padded with zeros at the bottom and on the right to a multiple of 32,
    and the logits are cropped back.

    References:
        Long, Shelhamer, Darrell 2015, arXiv:1411.4038, figure 3.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of VGG16's first stage; the two wide layers have 64 times as many."""
    norm: Literal["batch", "group", "none"] = "batch"
    """Norm after each 3x3 convolution; "none" is the published network."""
    dropout: float = 0.5
    """Share of the two wide layers' activations that is dropped in training."""
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
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, 32)
        padded = x.shape[1:3]

        stages = VGG16(self.width, mode, self.remat, name="backbone")(x)
        _, _, pool3, pool4, x = (stage.values for stage in stages)
        x = nn.relu(Convolution(64 * self.width, 7, bias=True, dtype=self.dtype, name="fc6")(x))
        x = Dropout(self.dropout, mode)(x)
        x = nn.relu(Convolution(64 * self.width, 1, bias=True, dtype=self.dtype, name="fc7")(x))
        x = Dropout(self.dropout, mode)(x)

        scores = Convolution(self.num_classes, 1, bias=True, name="logits32")(x)
        scores = _twice_as_large(self.num_classes, "upsample32")(scores)
        scores += Convolution(self.num_classes, 1, bias=True, name="logits16")(pool4)
        scores = _twice_as_large(self.num_classes, "upsample16")(scores)
        scores += Convolution(self.num_classes, 1, bias=True, name="logits8")(pool3)
        return resize(scores, padded)[:, :height, :width]


def _twice_as_large(classes: int, name: str) -> nn.Module:
    """Deconvolution that is learnt and begins as bilinear interpolation of each class."""
    return nn.ConvTranspose(
        classes, (4, 4), (2, 2), use_bias=False, kernel_init=_bilinear, dtype=jnp.float32, name=name
    )


def _bilinear(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Float[Array, "4 4 c c"]:
    ramp = np.array([0.25, 0.75, 0.75, 0.25])
    return jnp.asarray(np.einsum("i,j,kl->ijkl", ramp, ramp, np.eye(shape[-1])), dtype)
