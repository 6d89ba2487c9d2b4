"""Convolution in the form that is fastest on a CPU, selected by the shapes.

Every form and its gradient equal those of `_general_convolution` up to rounding.
"""

import jax
import jax.numpy as jnp
from jax.export import is_symbolic_dim
from jaxtyping import Array, Float


def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c features"], stride: int, dilation: int
) -> Float[Array, "b H W features"]:
    """Convolve with zero padding of `dilation * (k // 2)` on each side, for an odd k."""
    # `jax.export` leaves sizes symbolic, and a symbolic size cannot be compared with a number.
    known = not any(map(is_symbolic_dim, x.shape[1:3]))
    if kernel.shape[:2] == (1, 1) and (known or stride == 1):
        # A matrix product takes half the time of XLA's 1x1 convolution.
        return jnp.einsum("bhwi,io->bhwo", x[:, ::stride, ::stride], kernel[0, 0])
    if known and kernel.shape[0] > min(x.shape[1:3]) and stride == dilation == 1:
        # For a kernel larger than the map (7x7 of FCN-8s on a small image) XLA falls back to a naive loop,
        # 38 times as slow as the matrix product.
        return _multiply_patches(x, kernel)
    # Where the dilation is at least the size of the map (24 on 16x16), all taps outside the central row or
    # column read padding only.
    center = slice(kernel.shape[0] // 2, kernel.shape[0] // 2 + 1)
    if known and dilation >= x.shape[1]:
        kernel = kernel[center]
    if known and dilation >= x.shape[2]:
        kernel = kernel[:, center]
    return _general_convolution(x, kernel, stride, dilation)


def _general_convolution(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k l c features"], stride: int, dilation: int
) -> Float[Array, "b H W features"]:
    padding = [dilation * (size // 2) for size in kernel.shape[:2]]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(pixels, pixels) for pixels in padding],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _multiply_patches(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c features"]
) -> Float[Array, "b h w features"]:
    """Convolve by one product of the k x k patches with the kernel as a matrix (im2col)."""
    height, width = x.shape[1:3]
    taps = range(kernel.shape[0])
    padding = len(taps) // 2
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    patches = jnp.stack([x[:, i : i + height, j : j + width] for i in taps for j in taps], axis=3)
    return jnp.einsum("bhwki,kio->bhwo", patches, kernel.reshape(-1, *kernel.shape[2:]))
