"""ResNet-50 without its classifier: the encoder of DeepLabV3 and PSPNet."""

import functools

import flax.linen as nn
from jaxtyping import Array, Float

from balanced_jax.models.layers import Mode, Unit, max_pool_3x3


class ResNet(nn.Module):
    """ResNet (He, Zhang, Ren, Sun 2016, arXiv:1512.03385, table 1) with dilation, without the classifier.

    The stride of a bottleneck is in its 3x3 convolution, as in torchvision. Once the output stride is
    reached, dilation replaces stride (Chen et al. 2017, arXiv:1706.05587, figure 3).
    """

    width: int
    """Channels of the stem; the stages have 4, 8, 16 and 32 times as many."""
    blocks: tuple[int, int, int, int]
    """Bottlenecks of the four stages: (3, 4, 6, 3) in ResNet-50."""
    output_stride: int
    """Pixels of the image between neighboring features of the last stage: 8 or 16."""
    mode: Mode
    remat: bool = False
    """Recompute each bottleneck in the backward pass instead of storing its activations."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> list[Float[Array, "b _ _ _"]]:
        """Return the features of the four stages, finest first."""
        bottleneck = nn.remat(_Bottleneck) if self.remat else _Bottleneck
        x = Unit(self.width, self.mode, kernel=7, stride=2, name="stem")(x)
        x = max_pool_3x3(x)
        stages, total_stride, dilation = [], 4, 1
        for stage, blocks in enumerate(self.blocks, 1):
            # The first bottleneck has the stride of this stage and the dilation of the stage before.
            stride, first_dilation = (1 if stage == 1 else 2), dilation
            if total_stride * stride > self.output_stride:
                stride, dilation = 1, 2 * dilation
            total_stride *= stride
            for block in range(blocks):
                x = bottleneck(
                    self.width * 2 ** (stage - 1),
                    self.mode,
                    stride=stride if block == 0 else 1,
                    dilation=first_dilation if block == 0 else dilation,
                    name=f"stage{stage}_block{block}",
                )(x)
            stages.append(x)
        return stages


class _Bottleneck(nn.Module):
    """Residual block of a 1x1, a 3x3 and a 1x1 convolution."""

    features: int
    """Channels of the 3x3 convolution; the result has four times as many."""
    mode: Mode
    stride: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W _"]:
        y = Unit(self.features, self.mode, kernel=1, name="unit1")(x)
        y = Unit(self.features, self.mode, stride=self.stride, dilation=self.dilation, name="unit2")(y)
        widen = functools.partial(Unit, 4 * self.features, self.mode, kernel=1, relu=False)
        y = widen(name="unit3")(y)
        if x.shape != y.shape:
            x = widen(stride=self.stride, name="shortcut")(x)
        return nn.relu(x + y)
