"""DeepLabV3: atrous convolutions at several rates on a dilated ResNet; V3+ adds a decoder."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models.layers import Convolution, Dropout, FCNHead, Mode, Unit, resize
from balanced_jax.models.resnet import ResNet


class DeepLabV3(nn.Module):
    """ResNet-50 with dilation and atrous spatial pyramid pooling; in V3+ a decoder at a quarter of the size.

    The layers of torchvision's `deeplabv3_resnet50`, its auxiliary head included: 42.0 million parameters.
    Scores are resized to the image with `align_corners=False`, as there. Any input size is taken.

    References:
        Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587, figure 5.
        Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611, figure 2, for the decoder.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of ResNet's stem; all others follow."""
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Bottlenecks of the four stages; (3, 4, 23, 3) is ResNet-101."""
    output_stride: Literal[8, 16] = 8
    """Pixels between neighbouring features; 8 is finer, 16 takes a third of the time."""
    decoder: bool = False
    """Refine by the features of the first stage: DeepLabV3+."""
    auxiliary: bool = True
    """Score the third stage as well in training (collection `auxiliary`, where it is mutable)."""
    norm: Literal["batch", "group"] = "batch"
    """Norm after each convolution."""
    dropout: float = 0.5
    """Share of the pyramid's activations that is dropped in training; at most .1 in the auxiliary head."""
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

        fine, _, middle, x = ResNet(
            self.width, self.blocks, self.output_stride, mode, self.remat, name="backbone"
        )(x)
        if self.auxiliary and (train or self.is_initializing()):
            scores = FCNHead(self.num_classes, min(0.1, self.dropout), mode, name="auxiliary")(middle)
            if not self.is_initializing():
                self.sow("auxiliary", "scores", resize(scores, size))

        x = AtrousPyramid(4 * self.width, 96 // self.output_stride, mode, name="pyramid")(x)
        x = Dropout(self.dropout, mode)(x)
        if self.decoder:
            fine = Unit(3 * self.width // 4, mode, kernel=1, name="fine")(fine)
            x = jnp.concatenate([resize(x, fine.shape[1:3]), fine], axis=-1)
            x = Unit(4 * self.width, mode, name="refine")(x)
        x = Unit(4 * self.width, mode, name="head")(x)
        return resize(Convolution(self.num_classes, 1, bias=True, name="logits")(x), size)


class AtrousPyramid(nn.Module):
    """Five looks at the same features: at a point, at three rates, at the whole image."""

    features: int
    """Channels of each look and of the result."""
    rate: int
    """Dilation of the first of the three; the others have two and three times as much."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        looks = [Unit(self.features, self.mode, kernel=1, name="point")(x)]
        for i in (1, 2, 3):
            looks.append(Unit(self.features, self.mode, dilation=i * self.rate, name=f"atrous{i}")(x))
        mean = Unit(self.features, self.mode, kernel=1, name="image")(x.mean((1, 2), keepdims=True))
        looks.append(jnp.broadcast_to(mean, looks[0].shape))
        return Unit(self.features, self.mode, kernel=1, name="project")(jnp.concatenate(looks, axis=-1))
