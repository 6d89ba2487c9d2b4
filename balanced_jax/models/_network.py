"""Base class of the networks: the fields and the call that all of them have."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models.layers import Mode

_DEEPEST = 16
"""Levels of halving, after which an image of any use is a single pixel."""


class Network(nn.Module):
    """A segmentation network; `balanced_jax.models` states the contract.

    The docstrings of the fields are the help texts of the command line.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of the first convolution; all other layers scale with it."""
    norm: Literal["batch", "group"] = "batch"
    """Normalization after each convolution."""
    dtype: str = "float32"
    """Type of the computation; parameters and logits are always float32."""
    remat: bool = False
    """Recompute activations in the backward pass instead of storing them: less memory, more time."""
    axis_name: str | None = None
    """Mapped axis over whose devices the batch statistics are averaged."""

    def __post_init__(self):
        """Refuse values that no layer takes.

        Raises:
            ValueError: names the field, what it got and what it takes.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # would promote activations in half precision
                value = value.item()
                setattr(self, field.name, value)
            accepts, takes = _TAKES.get(field.name, (_anything, ""))
            if field.type is bool:
                accepts, takes = _is_bool, "True or False"
            elif get_origin(field.type) is Literal:
                accepts, takes = get_args(field.type).__contains__, _either(get_args(field.type))
            if not accepts(value):
                raise ValueError(f"{field.name}: got {value!r:.60}, takes {takes}")
        super().__post_init__()

    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        """Compute float32 logits at the size of the images.

        Args:
            images: normalized to about zero mean and unit deviation; any size. Where the network needs a
                multiple, they are padded with zeros at the bottom and on the right, and the logits cropped.
            train: whether to apply dropout (RNG key `dropout`), to normalize by the batch, and to update the
                running statistics (collection `batch_stats`, which must then be mutable).
        """
        raise NotImplementedError

    def mode(self, train: bool) -> Mode:
        """Return the settings that all layers share in one call."""
        return Mode(train, self.norm, self.dtype, self.axis_name)


def _anything(value: Any) -> bool:
    return True


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _is_floating(value: Any) -> bool:
    try:
        return bool(jnp.issubdtype(jnp.dtype(value), jnp.floating))
    except TypeError:
        return False


def _either(values: tuple[Any, ...]) -> str:
    return " or ".join(f'"{value}"' if isinstance(value, str) else f"{value}" for value in values)


_TAKES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "num_classes": (_is_whole, "a whole number from 1 on"),
    "width": (_is_whole, "a whole number from 1 on"),
    "depth": (lambda x: _is_whole(x, 0) and x <= _DEEPEST, f"a whole number from 0 to {_DEEPEST}"),
    "blocks": (
        lambda x: isinstance(x, tuple | list) and len(x) == 4 and all(map(_is_whole, x)),
        "four whole numbers from 1 on",
    ),
    "dropout": (_is_fraction, "a fraction from 0 to below 1"),
    "dtype": (_is_floating, 'a floating-point type such as "float32" or "bfloat16"'),
}
"""What fields without a `Literal` take, by their names."""
