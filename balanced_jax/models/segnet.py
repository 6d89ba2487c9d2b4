"""SegNet: a decoder that unpools with the encoder's pooling indices."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models._network import Network
from balanced_jax.models.layers import Convolution, Mode, Unit, pad_to_multiple, unpool
from balanced_jax.models.vgg import STAGE_UNITS, VGG16, stage_features


class SegNet(Network):
    """SegNet (Badrinarayanan, Kendall, Cipolla 2017, arXiv:1511.00561, figure 2): VGG16 and its mirror image.

    The decoder unpools with the indices of the encoder's max pooling. 29.4 million parameters. The published
    network has a bias in each convolution, which the following norm cancels; this network has none.
    """

    @nn.compact
    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        mode = self.mode(train)
        x = jnp.asarray(images, self.dtype)
        height, width = x.shape[1:3]
        x = pad_to_multiple(x, 32)

        encoded = VGG16(self.width, mode, self.remat, name="backbone")(x)
        x = encoded[-1].values
        decoder = nn.remat(_DecoderStage) if self.remat else _DecoderStage
        features = stage_features(self.width)
        for i in reversed(range(len(STAGE_UNITS))):
            # The convolution to the classes takes the place of the last unit of the finest stage.
            unit_features = [features[i]] * (STAGE_UNITS[i] - 1) + ([features[i - 1]] if i else [])
            x = decoder(tuple(unit_features), mode, name=f"decoder{i + 1}")(unpool(x, encoded[i].indices))
        logits = Convolution(self.num_classes, 3, bias=True, name="logits")(x)
        return logits[:, :height, :width]


class _DecoderStage(nn.Module):
    """The units after one unpooling."""

    features: tuple[int, ...]
    """Channels of each unit."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        for i, features in enumerate(self.features, 1):
            x = Unit(features, self.mode, name=f"unit{i}")(x)
        return x
