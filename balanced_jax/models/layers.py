"""What several networks are built from: units of convolution, norm and ReLU, pooling, resizing, dropout."""

import math
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

# By its name, because jax2onnx puts an operation that wants a fixed batch in the place of `jax.image.resize`.
from jax.image import resize as resize_image
from jaxtyping import Array, Float, UInt8

from balanced_jax.models._convolution import convolve


@dataclass(frozen=True)
class Mode:
    """What all layers of a network have in common in one pass."""

    train: bool
    """Whether to normalise by the batch, and to drop."""
    norm: str = "batch"
    """Kind of norm: "batch", "group" (up to 32 groups), or "none"."""
    dtype: str = "float32"
    """Type of the computation."""
    axis_name: str | None = None
    """Mapped axis over whose devices the batch statistics are shared."""

    def normalization(self, features: int, *, exact: bool = False, name: str | None = None) -> nn.Module:
        """A norm of this kind.

        Args:
            features: channels.
            exact: take the batch's variance in two passes instead of one.
            name: of the module.

        Raises:
            ValueError: there is no such kind.
        """
        if self.norm == "batch":
            return nn.BatchNorm(
                use_running_average=not self.train,
                momentum=0.9,
                dtype=self.dtype,
                axis_name=self.axis_name if self.train else None,
                use_fast_variance=not exact,
                name=name,
            )
        if self.norm == "group":
            return nn.GroupNorm(math.gcd(32, features), epsilon=1e-5, dtype=self.dtype, name=name)
        raise ValueError(f'norm: got {self.norm!r}, takes "batch" or "group", and with VGG16 "none"')


class Convolution(nn.Module):
    """Convolution whose padding keeps the size (an odd kernel), or divides it by the stride, rounded up."""

    features: int
    """Channels of the result."""
    kernel: int = 3
    """Height and width of the kernel."""
    stride: int = 1
    """Pixels from one result to the next."""
    dilation: int = 1
    """Pixels from one tap of the kernel to the next."""
    bias: bool = False
    """Whether to add one."""
    dtype: str = "float32"
    """Type of the computation."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W features"]:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape).astype(self.dtype)
        y = convolve(x.astype(self.dtype), kernel, self.stride, self.dilation)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
            y += bias.reshape(1, 1, 1, -1)
        return y


class Unit(nn.Module):
    """Convolution, norm, ReLU; without a norm the convolution has a bias."""

    features: int
    """Channels of the result."""
    mode: Mode
    kernel: int = 3
    """Height and width of the kernel."""
    stride: int = 1
    """Pixels from one result to the next."""
    dilation: int = 1
    """Pixels from one tap of the kernel to the next."""
    relu: bool = True
    """Whether the ReLU is there."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W features"]:
        x = Convolution(
            self.features,
            self.kernel,
            self.stride,
            self.dilation,
            bias=self.mode.norm == "none",
            dtype=self.mode.dtype,
            name="conv",
        )(x)
        if self.mode.norm != "none":
            # Means over regions hardly differ from image to image: in one pass, rounding is all that is left
            # of their variance, and of so few numbers two passes cost nothing.
            exact = self.mode.train and x.shape[1] * x.shape[2] <= 36
            x = self.mode.normalization(self.features, exact=exact, name="norm")(x)
        return nn.relu(x) if self.relu else x


class Dropout(nn.Module):
    """Sets a share of the activations to zero in training, and scales the others up.

    Draws from the key `dropout`. The variables may hold `index` [b] in a collection `examples`, each image's
    place in the run; else it is its place in the batch.
    """

    rate: float
    """Share that is set to zero."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        if self.rate == 0 or not self.mode.train:
            return x
        # One key an image, so that what is dropped does not depend on which images share its device.
        root = self.scope.root  # pyright: ignore[reportOptionalMemberAccess]
        index = root.get_variable("examples", "index", jnp.arange(len(x)))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), index)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), 0)


class FCNHead(nn.Module):
    """Scores of an intermediate stage: the auxiliary head of DeepLabV3 and PSPNet."""

    num_classes: int
    """Channels of the result."""
    dropout: float
    """Share of the activations that is dropped in training."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w classes"]:
        x = Unit(x.shape[-1] // 4, self.mode, name="unit")(x)
        x = Dropout(self.dropout, self.mode)(x)
        return Convolution(self.num_classes, 1, bias=True, name="logits")(x)


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    """Largest value of each 2x2 block, by pairs, because reductions differentiate slowly."""
    b, h, w, c = x.shape
    blocks = x.reshape(b, h // 2, 2, w // 2, 2, c)
    upper = jnp.maximum(blocks[:, :, 0, :, 0], blocks[:, :, 0, :, 1])
    lower = jnp.maximum(blocks[:, :, 1, :, 0], blocks[:, :, 1, :, 1])
    return jnp.maximum(upper, lower)


def max_places(
    x: Float[Array, "b h w c"], pooled: Float[Array, "b h/2 w/2 c"]
) -> UInt8[Array, "b h/2 w/2 c"]:
    """Where in its 2x2 block the largest value stands: 0 to 3, row by row, the first of equal ones."""
    b, h, w, c = x.shape
    hits = x.reshape(b, h // 2, 2, w // 2, 2, c) == pooled[:, :, None, :, None, :]
    first, second, third = hits[:, :, 0, :, 0], hits[:, :, 0, :, 1], hits[:, :, 1, :, 0]
    return jnp.where(first, 0, jnp.where(second, 1, jnp.where(third, 2, 3))).astype(jnp.uint8)


def unpool(x: Float[Array, "b h w c"], places: UInt8[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Puts each value at its place in a 2x2 block of zeros.

    A comparison with the four places and a reshape, which become one loop; a scatter is many times slower.
    """
    b, h, w, c = x.shape
    # NumPy's `arange`, because ONNX has none of this type.
    here = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 1, 2, 1) == places[:, :, None, :, None, :]
    return jnp.where(here, x[:, :, None, :, None, :], 0).reshape(b, 2 * h, 2 * w, c)


def max_pool_3(x: Float[Array, "b h w c"]) -> Float[Array, "b (h+1)//2 (w+1)//2 c"]:
    """Largest value in 3x3 windows around every second pixel, of values that are not negative.

    By pairs of rows and of columns, because reduce_window differentiates slowly.
    """
    x = pad_to_multiple(x, 2)
    rows = x.reshape(x.shape[0], x.shape[1] // 2, 2, *x.shape[2:])
    x = _largest_of_three(rows[:, :, 0], rows[:, :, 1], axis=1)
    columns = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3])
    return _largest_of_three(columns[:, :, :, 0], columns[:, :, :, 1], axis=2)


def pad_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b H W c"]:
    """Pads with zeros at the bottom and on the right."""
    h, w = x.shape[1:3]
    # Not `-h % multiple`, so that `jax.export` sees that a free size becomes a multiple.
    bottom, right = ((n + multiple - 1) // multiple * multiple - n for n in (h, w))
    return jnp.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)))


def resize(x: Float[Array, "b h w c"], size: tuple[int, ...]) -> Float[Array, "b H W c"]:
    """Bilinear; corners of pixels are aligned, not their centres (PyTorch's `align_corners=False`)."""
    return resize_image(x, (x.shape[0], *size, x.shape[-1]), "bilinear", antialias=False)


def _largest_of_three(
    even: Float[Array, "b h w c"], odd: Float[Array, "b h w c"], axis: int
) -> Float[Array, "b h w c"]:
    """Of each even row (or column) and its two odd neighbours."""
    ahead = [(int(i == axis), 0) for i in range(4)]
    before = jax.lax.slice_in_dim(jnp.pad(odd, ahead), 0, odd.shape[axis], axis=axis)
    return jnp.maximum(jnp.maximum(even, odd), before)
