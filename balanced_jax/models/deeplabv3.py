"""DeepLabV3: atrous convolutions at several rates on a dilated ResNet; V3+ adds a decoder."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models._network import Network
from balanced_jax.models.layers import AuxiliaryHead, Convolution, Dropout, Mode, Unit, resize
from balanced_jax.models.resnet import ResNet


class DeepLabV3(Network):
    """DeepLabV3 (Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587, figure 5) on ResNet-50.

    The layers of torchvision's `deeplabv3_resnet50`, auxiliary head included: 42.0 million parameters. Logits
    are resized with `align_corners=False`, as in torchvision. The decoder of DeepLabV3+ is that of Chen, Zhu,
    Papandreou, Schroff, Adam 2018, arXiv:1802.02611, figure 2.
    """

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Bottlenecks of the four stages; (3, 4, 23, 3) is ResNet-101."""
    output_stride: Literal[8, 16] = 8
    """Pixels between neighboring features; 8 is finer, 16 takes a third of the time."""
    decoder: bool = False
    """Refine with the features of the first stage: DeepLabV3+."""
    auxiliary: bool = True
    """Train the third stage with logits of its own, too (collection `auxiliary`)."""
    dropout: float = 0.5
    """Fraction of the pyramid's activations dropped in training; at most .1 in the auxiliary head."""

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        mode = self.mode(train)
        x = jnp.asarray(images, self.dtype)
        size = x.shape[1:3]

        backbone = ResNet(self.width, self.blocks, self.output_stride, mode, self.remat, name="backbone")
        stage1, _, stage3, x = backbone(x)
        if self.auxiliary:
            AuxiliaryHead(self.num_classes, min(0.1, self.dropout), mode, name="auxiliary")(stage3, size)

        x = _AtrousPyramid(4 * self.width, 96 // self.output_stride, mode, name="pyramid")(x)
        x = Dropout(self.dropout, mode)(x)
        if self.decoder:
            fine = Unit(max(3 * self.width // 4, 1), mode, kernel=1, name="fine")(stage1)
            x = jnp.concatenate([resize(x, fine.shape[1:3]), fine], axis=-1)
            x = Unit(4 * self.width, mode, name="refine")(x)
        x = Unit(4 * self.width, mode, name="head")(x)
        return resize(Convolution(self.num_classes, 1, bias=True, name="logits")(x), size)


class _AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 convolution, three atrous convolutions, the mean of the image."""

    features: int
    """Channels of each branch and of the result."""
    rate: int
    """Smallest of the three dilations; the others are two and three times as large."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        branches = [Unit(self.features, self.mode, kernel=1, name="point")(x)]
        for i in (1, 2, 3):
            branches.append(Unit(self.features, self.mode, dilation=i * self.rate, name=f"atrous{i}")(x))
        mean = Unit(self.features, self.mode, kernel=1, name="image")(x.mean((1, 2), keepdims=True))
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        return Unit(self.features, self.mode, kernel=1, name="project")(jnp.concatenate(branches, axis=-1))
