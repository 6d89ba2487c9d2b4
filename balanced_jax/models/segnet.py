"""SegNet: a decoder that puts values back where the encoder's pooling took them from."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models.layers import Convolution, Mode, Unit, pad_to_multiple, unpool
from balanced_jax.models.vgg import STAGES, VGG16, stage_features


class SegNet(nn.Module):
    """VGG16 and its mirror image, which unpools by the places of the encoder's largest values.

    With the published width it has 29.4 million parameters. The published network has a bias in each
    convolution, which the norm behind it takes away again; ours has none.

    Any input size is taken: images are padded with zeros at the bottom and on the right to a multiple of 32,
    and the logits are cropped back.

    References:
        Badrinarayanan, Kendall, Cipolla 2017, arXiv:1511.00561, figure 2.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of VGG16's first stage."""
    norm: Literal["batch", "group"] = "batch"
    """Norm after each convolution."""
    dtype: str = "float32"
    """Type of the computation; parameters and logits are float32 whatever it is."""
    remat: bool = False
    """Compute each stage again in the backward pass: less memory, more time."""
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
        mode = Mode(train, self.norm, self.dtype, self.axis_name)
        x = jnp.asarray(images, self.dtype)
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, 32)

        encoded = VGG16(self.width, mode, self.remat, name="backbone")(x)
        x = encoded[-1].values
        decoder = nn.remat(_DecoderStage) if self.remat else _DecoderStage
        features = stage_features(self.width)
        for i in reversed(range(len(STAGES))):
            # The convolution to the classes stands for the last unit of the finest stage.
            after = [features[i]] * (STAGES[i] - 1) + ([features[i - 1]] if i else [])
            x = decoder(tuple(after), mode, name=f"decoder{i + 1}")(unpool(x, encoded[i].places))
        logits = Convolution(self.num_classes, 3, bias=True, name="logits")(x)
        return logits[:, :height, :width]


class _DecoderStage(nn.Module):
    """The units after one unpooling."""

    features: tuple[int, ...]
    """Channels of each unit."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        for j, features in enumerate(self.features, 1):
            x = Unit(features, self.mode, name=f"unit{j}")(x)
        return x
