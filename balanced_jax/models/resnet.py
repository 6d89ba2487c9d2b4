"""ResNet-50 without its classifier: the encoder of DeepLabV3 and PSPNet."""

import flax.linen as nn
from jaxtyping import Array, Float

from balanced_jax.models.layers import Mode, Unit, max_pool_3


class ResNet(nn.Module):
    """Four stages of bottlenecks on features of a quarter of the image's size.

    The stride of a bottleneck is in its 3x3 convolution, as in torchvision. Where the output stride is
    reached, dilation takes the place of stride.

    References:
        He, Zhang, Ren, Sun 2016, arXiv:1512.03385, table 1.
        Chen et al. 2017, arXiv:1706.05587, figure 3, for the dilation.
    """

    width: int
    """Channels of the stem; the stages give 4, 8, 16 and 32 times as many."""
    blocks: tuple[int, int, int, int]
    """Bottlenecks of the four stages: (3, 4, 6, 3) in ResNet-50."""
    output_stride: int
    """Pixels of the image between neighbours in the last stage: 8 or 16."""
    mode: Mode
    remat: bool = False
    """Compute each bottleneck again in the backward pass instead of keeping its activations."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> list[Float[Array, "b _ _ _"]]:
        """The four stages, finest first."""
        if self.output_stride not in (8, 16):
            raise ValueError(f"output_stride: got {self.output_stride}, takes 8 or 16")
        bottleneck = nn.remat(Bottleneck) if self.remat else Bottleneck
        x = Unit(self.width, self.mode, kernel=7, stride=2, name="stem")(x)
        x = max_pool_3(x)
        stages, reached, dilation = [], 4, 1
        for stage, blocks in enumerate(self.blocks, 1):
            stride, dilation_before = (1 if stage == 1 else 2), dilation
            if reached * stride > self.output_stride:
                stride, dilation = 1, 2 * dilation
            reached *= stride
            for block in range(blocks):
                x = bottleneck(
                    self.width * 2 ** (stage - 1),
                    self.mode,
                    stride=stride if block == 0 else 1,
                    dilation=dilation_before if block == 0 else dilation,
                    name=f"stage{stage}_block{block}",
                )(x)
            stages.append(x)
        return stages


class Bottleneck(nn.Module):
    """Narrow, look around, widen, add."""

    features: int
    """Channels of the 3x3 convolution; the result has four times as many."""
    mode: Mode
    stride: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W _"]:
        y = Unit(self.features, self.mode, kernel=1, name="unit1")(x)
        y = Unit(self.features, self.mode, stride=self.stride, dilation=self.dilation, name="unit2")(y)
        y = Unit(4 * self.features, self.mode, kernel=1, relu=False, name="unit3")(y)
        if x.shape != y.shape:
            x = Unit(4 * self.features, self.mode, kernel=1, stride=self.stride, relu=False, name="shortcut")(
                x
            )
        return nn.relu(x + y)
