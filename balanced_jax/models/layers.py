"""Building blocks of the networks: units of convolution, norm and ReLU; dropout, pooling, resizing."""

import math
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

# Imported by name, because jax2onnx replaces `jax.image.resize` by an operation that needs a fixed batch.
from jax.image import resize as resize_image
from jaxtyping import Array, Float, UInt8

from balanced_jax.models._convolution import convolve


@dataclass(frozen=True)
class Mode:
    """Settings that all layers of a network share in one call."""

    train: bool
    """Whether to normalize by the batch and to apply dropout."""
    norm: str = "batch"
    """Kind of norm: "batch", "group" (up to 32 groups), or "none"."""
    dtype: str = "float32"
    """Type of the computation."""
    axis_name: str | None = None
    """Mapped axis over whose devices the batch statistics are averaged."""

    def normalization(self, features: int, *, exact: bool = False, name: str | None = None) -> nn.Module:
        """Return the norm layer; `exact` takes two passes for the batch variance, not E[x^2] - E[x]^2."""
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
        raise ValueError(f'norm: got {self.norm!r}, takes "batch" or "group", and in FCN8s "none"')


class Convolution(nn.Module):
    """Convolution with an odd kernel, zero-padded so that only the stride reduces the size (rounded up)."""

    features: int
    """Channels of the result."""
    kernel: int = 3
    """Height and width of the kernel."""
    stride: int = 1
    dilation: int = 1
    bias: bool = False
    """Whether to add a bias."""
    dtype: str = "float32"
    """Type of the computation."""
    kernel_init: nn.initializers.Initializer = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W features"]:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = jnp.asarray(self.param("kernel", self.kernel_init, shape, jnp.float32), self.dtype)
        y = convolve(x.astype(self.dtype), kernel, self.stride, self.dilation)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(self.dtype)
            y += bias.reshape(1, 1, 1, -1)
        return y


class Unit(nn.Module):
    """Convolution, norm and ReLU; the convolution has a bias only where there is no norm."""

    features: int
    """Channels of the result."""
    mode: Mode
    kernel: int = 3
    """Height and width of the kernel."""
    stride: int = 1
    dilation: int = 1
    relu: bool = True
    """Whether to apply the ReLU."""
    kernel_init: nn.initializers.Initializer = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W features"]:
        x = Convolution(
            self.features,
            self.kernel,
            self.stride,
            self.dilation,
            bias=self.mode.norm == "none",
            dtype=self.mode.dtype,
            kernel_init=self.kernel_init,
            name="conv",
        )(x)
        if self.mode.norm != "none":
            # Pooled features hardly differ between images: E[x^2] - E[x]^2 cancels, and on so few pixels a
            # second pass costs nothing.
            exact = self.mode.train and x.shape[1] * x.shape[2] <= 36
            x = self.mode.normalization(self.features, exact=exact, name="norm")(x)
        return nn.relu(x) if self.relu else x


class Dropout(nn.Module):
    """Dropout with one key per image: RNG key `dropout`, folded with `index` [b] of collection `examples`.

    The index is the position of each image in the run; without the collection, the position in the batch.

    Raises:
        ValueError: in training inside of `nn.remat` or another lifted transformation, where flax hides the
            collection.
    """

    rate: float
    """Fraction of the activations that is set to zero."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        if self.rate == 0 or not self.mode.train:
            return x
        # One key per image, so that the dropped activations do not depend on the other images of the device.
        root = self.scope.root  # pyright: ignore[reportOptionalMemberAccess]
        if root.path:
            raise ValueError(
                f"Dropout: got {'/'.join(root.path)} under nn.remat or another lifted transformation, "
                "where the index of each image cannot be read; apply dropout outside of it"
            )
        index = root.get_variable("examples", "index", jnp.arange(len(x)))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), index)
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), 0)


class AuxiliaryHead(nn.Module):
    """Logits of an intermediate stage, sown into the collection `auxiliary` in training."""

    num_classes: int
    """Channels of the logits."""
    dropout: float
    """Fraction of the activations that is dropped."""
    mode: Mode

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], size: tuple[int, ...]) -> None:
        """Sow the logits resized to `size`; `init` makes the parameters only."""
        if not (self.mode.train or self.is_initializing()):
            return
        x = Unit(x.shape[-1] // 4, self.mode, name="unit")(x)
        x = Dropout(self.dropout, self.mode)(x)
        logits = Convolution(self.num_classes, 1, bias=True, name="logits")(x)
        if not self.is_initializing():
            self.sow("auxiliary", "output", resize(logits, size))


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    """2x2 max pooling by pairwise maxima: the gradient of a reduction is slow on a CPU."""
    b, h, w, c = x.shape
    blocks = x.reshape(b, h // 2, 2, w // 2, 2, c)
    upper = jnp.maximum(blocks[:, :, 0, :, 0], blocks[:, :, 0, :, 1])
    lower = jnp.maximum(blocks[:, :, 1, :, 0], blocks[:, :, 1, :, 1])
    return jnp.maximum(upper, lower)


def max_pool_indices(
    x: Float[Array, "b h w c"], pooled: Float[Array, "b h/2 w/2 c"]
) -> UInt8[Array, "b h/2 w/2 c"]:
    """Index of the maximum in each 2x2 block, 0 to 3 in row-major order; the first of equal maxima."""
    b, h, w, c = x.shape
    equal = x.reshape(b, h // 2, 2, w // 2, 2, c) == pooled[:, :, None, :, None, :]
    first, second, third = equal[:, :, 0, :, 0], equal[:, :, 0, :, 1], equal[:, :, 1, :, 0]
    return jnp.where(first, 0, jnp.where(second, 1, jnp.where(third, 2, 3))).astype(jnp.uint8)


def unpool(x: Float[Array, "b h w c"], indices: UInt8[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Put each value at its index in a 2x2 block of zeros."""
    b, h, w, c = x.shape
    # XLA fuses the comparison and the reshape into one loop; a scatter is many times slower on a CPU.
    # NumPy's `arange`, because ONNX has no uint8 range.
    selected = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 1, 2, 1) == indices[:, :, None, :, None, :]
    return jnp.where(selected, x[:, :, None, :, None, :], 0).reshape(b, 2 * h, 2 * w, c)


def max_pool_3x3(x: Float[Array, "b h w c"]) -> Float[Array, "b (h+1)//2 (w+1)//2 c"]:
    """3x3 max pooling with stride 2 and padding 1 of nonnegative values; pairwise as `max_pool`."""
    x = pad_to_multiple(x, 2)
    rows = x.reshape(x.shape[0], x.shape[1] // 2, 2, *x.shape[2:])
    x = _max_of_three(rows[:, :, 0], rows[:, :, 1], axis=1)
    columns = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3])
    return _max_of_three(columns[:, :, :, 0], columns[:, :, :, 1], axis=2)


def pad_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Float[Array, "b H W c"]:
    """Pad with zeros at the bottom and on the right."""
    h, w = x.shape[1:3]
    # Not `-h % multiple`: `jax.export` infers from the form below that a symbolic size becomes a multiple.
    bottom, right = ((n + multiple - 1) // multiple * multiple - n for n in (h, w))
    return jnp.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)))


def resize(x: Float[Array, "b h w c"], size: tuple[int, ...]) -> Float[Array, "b H W c"]:
    """Resize bilinearly without antialiasing (PyTorch's `align_corners=False`)."""
    return resize_image(x, (x.shape[0], *size, x.shape[-1]), "bilinear", antialias=False)


def _max_of_three(
    even: Float[Array, "b h w c"], odd: Float[Array, "b h w c"], axis: int
) -> Float[Array, "b h w c"]:
    """Maximum of each even row (or column) and its two odd neighbors."""
    padding = [(int(i == axis), 0) for i in range(4)]
    previous = jax.lax.slice_in_dim(jnp.pad(odd, padding), 0, odd.shape[axis], axis=axis)
    return jnp.maximum(jnp.maximum(even, odd), previous)
