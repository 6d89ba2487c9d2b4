"""Time of single layers against PyTorch's, and of 3x3 convolutions in three formulations.

    python -m tests.benchmarks.layers [--rounds 9]

Float32, batches of 8, the feature maps of a U-Net of width 16 on 128x128. Times are medians in milliseconds,
interleaved in one process; PyTorch is in channels_last. Run this alone on an idle machine.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import tyro

from balanced_jax.models.layers import max_pool
from tests.benchmarks.timing import Candidate, alternate

SIZES = ((128, 16, 16), (128, 32, 16), (64, 32, 32), (32, 64, 64), (16, 128, 128), (8, 256, 256))
"""Height and width of the feature map, input channels, output channels."""


@dataclass(frozen=True)
class Benchmark:
    """Time layers of the networks against PyTorch's."""

    rounds: int = 9
    """Number of times that each candidate is timed."""


def main(benchmark: Benchmark) -> None:
    for title, layer in {
        "3x3 convolution": convolution,
        "batch norm + ReLU": norm,
        "pooling": pooling,
    }.items():
        head = True
        for side, channels, features in SIZES:
            seconds = alternate(layer(side, channels, features), benchmark.rounds)
            if head:
                print(f"\n| {title} | {' | '.join(seconds)} |\n|---{'|---' * len(seconds)}|")
                head = False
            times = [f"{1e3 * statistics.median(times):.1f}" for times in seconds.values()]
            print(f"| {side}x{side}, {channels} to {features} | {' | '.join(times)} |", flush=True)


def convolution(side: int, channels: int, features: int) -> dict[str, Candidate]:
    """Return a convolution and its two gradients, in three formulations and in PyTorch."""
    x, g = normal(8, side, side, channels), normal(8, side, side, features)
    w = normal(3, 3, channels, features)
    candidates: dict[str, Candidate] = {}
    for name, convolve in {"lax": by_lax, "patches": by_patches, "9 products": by_products}.items():
        forward = jax.jit(convolve)
        by_input = jax.jit(lambda x, w, g, f=convolve: jax.vjp(lambda x: f(x, w), x)[1](g)[0])
        by_weights = jax.jit(lambda x, w, g, f=convolve: jax.vjp(lambda w: f(x, w), w)[1](g)[0])
        candidates |= {
            name: lambda f=forward: f(x, w),
            f"{name}, by input": lambda f=by_input: f(x, w, g),
            f"{name}, by weights": lambda f=by_weights: f(x, w, g),
        }
    image, back = to_torch(x), to_torch(g)
    weights = torch.tensor(np.asarray(w)).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)

    def gradient(*mask: bool) -> Candidate:
        return lambda: torch.ops.aten.convolution_backward(
            back, image, weights, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [*mask, False]
        )

    return candidates | {
        "PyTorch": lambda: torch.nn.functional.conv2d(image, weights, padding=1),
        "PyTorch, by input": gradient(True, False),
        "PyTorch, by weights": gradient(False, True),
    }


def by_lax(x: jax.Array, w: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def by_patches(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.concatenate(shifted(x), axis=-1) @ w.reshape(-1, w.shape[-1])


def by_products(x: jax.Array, w: jax.Array) -> jax.Array:
    taps = w.reshape(9, *w.shape[2:])
    return sum((part @ tap for part, tap in zip(shifted(x), taps, strict=True)), jnp.zeros(()))


def shifted(x: jax.Array) -> list[jax.Array]:
    """Return the input shifted to each of the nine taps of the kernel."""
    _, h, w, _ = x.shape
    padded = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]


def norm(side: int, channels: int, features: int) -> dict[str, Candidate]:
    """Return the gradients of batch norm and ReLU."""
    x, g = normal(8, side, side, features), normal(8, side, side, features)

    def layer(x, scale, bias):
        mean, square = x.mean((0, 1, 2)), (x * x).mean((0, 1, 2))
        return jax.nn.relu((x - mean) * (scale * jax.lax.rsqrt(square - mean * mean + 1e-5)) + bias)

    ones, zeros = jnp.ones(features), jnp.zeros(features)
    torch_layer = torch.nn.Sequential(torch.nn.BatchNorm2d(features), torch.nn.ReLU())
    return gradients(jax.jit(lambda x, g: jax.vjp(layer, x, ones, zeros)[1](g)), torch_layer, x, g)


def pooling(side: int, channels: int, features: int) -> dict[str, Candidate]:
    """Return the gradients of 2x2 max pooling."""
    x, g = normal(8, side, side, features), normal(8, side // 2, side // 2, features)
    return gradients(jax.jit(lambda x, g: jax.vjp(max_pool, x)[1](g)), torch.nn.MaxPool2d(2), x, g)


def gradients(
    in_jax: Callable[..., Any], torch_layer: Any, x: jax.Array, g: jax.Array
) -> dict[str, Candidate]:
    """Return the gradient of a layer at input `x` and cotangent `g`, in JAX and in PyTorch."""
    leaf, back = to_torch(x).requires_grad_(), to_torch(g)

    def in_torch() -> None:
        leaf.grad = None
        torch_layer(leaf).backward(back)

    return {"balanced_jax": lambda: in_jax(x, g), "PyTorch": in_torch}


def normal(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def to_torch(x: jax.Array) -> Any:
    return torch.tensor(np.asarray(x)).movedim(-1, 1).contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
