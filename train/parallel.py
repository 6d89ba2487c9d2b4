"""The only place that knows about devices: one program, mapped over all of them."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.errors import UserError
from train.step import AXIS

PIXELS = 2**20
"""What a device takes at once of several images where nothing is learnt from them: enough to keep it busy."""


def check_batch_size(batch_size: int, accumulation: int) -> None:
    """Refuses a batch that cannot be dealt out evenly, or not in so many parts.

    Raises:
        UserError: names the numbers.
    """
    devices = jax.device_count()
    if batch_size % devices:
        raise UserError(
            f"batch_size: {batch_size} images cannot be shared evenly by {devices} devices; "
            "take a multiple of that number"
        )
    if batch_size % (devices * accumulation):
        raise UserError(
            f"accumulation: the {batch_size // devices} images of a device cannot be cut into {accumulation} "
            "equal parts; take a divisor of that number"
        )


def images_at_once(batch_size: int, size: tuple[int, int]) -> int:
    """How many images the devices of this host take together where nothing is learnt from them.

    Args:
        batch_size: of training, over all devices; large images are fewer.
        size: their height and width.
    """
    devices = jax.local_device_count()
    return devices * max(1, min(batch_size // devices, PIXELS // math.prod(size)))


def over_devices(step: Callable) -> Callable:
    """Maps a training step `(state, batch) -> (state, terms)` over the devices.

    The state goes in and comes out whole, without an axis for the devices (and its memory is reused); the
    batch has one, made by `deal`. What the step returns must be equal on all devices: the first one's is
    taken.
    """
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=None, donate_argnums=0)


def each_device(step: Callable) -> Callable:
    """Maps `(variables, batch) -> outputs` over the devices; the outputs keep the devices' axis."""
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0))


def on_host(function: Callable) -> Callable:
    """Compiles a function of arrays for this host's CPU, where it may run beside the steps on the devices."""
    compiled, cpu = jax.jit(function), jax.local_devices(backend="cpu")[0]

    def run(*arrays: np.ndarray) -> Any:
        with jax.default_device(cpu):
            return jax.device_get(compiled(*arrays))

    return run


def replicate(tree: Any) -> Any:
    """Puts equal copies on all devices; without it the first step would be compiled twice."""
    return jax.device_put(tree, NamedSharding(Mesh(np.array(jax.devices()), (AXIS,)), PartitionSpec()))


def deal(batch: Any) -> Any:
    """Gives each device of this host its share of a batch: [b, ...] -> [devices, b / devices, ...].

    Neighbours go to different devices, as on more hosts, where the stream is dealt out in turn.
    """
    devices = jax.local_device_count()
    return jax.tree.map(lambda x: np.stack([x[d::devices] for d in range(devices)]), batch)


def collect(outputs: Any) -> Any:
    """The inverse of `deal`, on the host: [devices, b / devices, ...] -> [b, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).swapaxes(0, 1).reshape(-1, *x.shape[2:]), outputs)
