"""The only place that knows about devices and hosts: one program, mapped over all of them.

Every host runs the same command on the same files. Training is mapped over the devices of all hosts; what
only looks at images is mapped over those of each host alone, so that no host waits for another there.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.errors import UserError
from train.training.step import AXIS

PIXELS = 2**20
"""What a device takes at once of several images where nothing is learnt from them: enough to keep it busy."""

Tree = TypeVar("Tree")


class Process(NamedTuple):
    """What a process is told of the others that take part in a run."""

    coordinator: str | None
    """HOST:PORT where the first one listens; None: jax asks the environment (SLURM, Open MPI, TPU slices)."""
    processes: int | None
    """How many there are."""
    process: int | None
    """Which of them this is, from 0."""


def join(process: Process) -> None:
    """Makes this process one of those that share a run; to be called before jax looks for devices.

    Raises:
        UserError: the environment does not say who the others are, or they do not come.
    """
    try:
        # The others may wait at the end for the first, which draws the report.
        jax.distributed.initialize(*process, shutdown_timeout_seconds=24 * 3600)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"distributed: cannot find or reach the other processes ({' '.join(str(error).split())}); start "
            "all of them by srun, mpirun or on every host of a TPU slice, or give each --coordinator "
            "HOST:PORT, --num-processes and --process-id"
        ) from error


def is_first() -> bool:
    """Whether this is the host that writes files and speaks to the person."""
    return jax.process_index() == 0


@contextlib.contextmanager
def refused_together() -> Iterator[None]:
    """A UserError on one host becomes one on all of them, at the end of the context.

    Without it the others would wait for that host in their first common step.
    """
    refusal = None
    try:
        yield
    except UserError as error:
        refusal = error
    refused = np.flatnonzero(multihost_utils.process_allgather(np.array(refusal is not None)))
    if refusal is not None:
        raise refusal
    if refused.size:
        raise UserError(f"host {refused[0]}: was refused; see what it says")


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
    """Maps `(state, batch) -> outputs` over this host's devices; the outputs keep the devices' axis.

    The state is one that `replicate_here` gives, the batch one that `deal` gives.
    """
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), devices=jax.local_devices())


def on_host(function: Callable) -> Callable:
    """Compiles a function of arrays for this host's CPU, where it may run beside the steps on the devices."""
    compiled, cpu = jax.jit(function), jax.local_devices(backend="cpu")[0]

    def run(*arrays: np.ndarray) -> Any:
        with jax.default_device(cpu):
            return jax.device_get(compiled(*arrays))

    return run


def replicate(tree: Any) -> Any:
    """Puts equal copies on all devices; without it the first step would be compiled twice."""
    return _copies(tree, jax.devices())


def replicate_here(tree: Any) -> Any:
    """Puts equal copies on this host's devices, of what may be on those of all."""
    return _copies(jax.device_get(tree), jax.local_devices())


def _copies(tree: Any, devices: Sequence[Any]) -> Any:
    return jax.device_put(tree, NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec()))


def batch_size_here(batch_size: int) -> int:
    """This host's share of the images of a step."""
    return batch_size // jax.process_count()


def deal(batch: Any) -> Any:
    """Gives each device of this host its share of a batch: [b, ...] -> [devices, b / devices, ...].

    Neighbours go to different devices, as on more hosts, where the stream is dealt out in turn.
    """
    devices = jax.local_device_count()
    return jax.tree.map(lambda x: np.stack([x[d::devices] for d in range(devices)]), batch)


def collect(outputs: Any) -> Any:
    """The inverse of `deal`, on the host: [devices, b / devices, ...] -> [b, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).swapaxes(0, 1).reshape(-1, *x.shape[2:]), outputs)


def share(count: int) -> list[int]:
    """This host's share of so many positions, as many as any other host's; the last may come again."""
    hosts = jax.process_count()
    return [min(i, count - 1) for i in range(jax.process_index(), -(-count // hosts) * hosts, hosts)]


def gather(tree: Tree, count: int) -> Tree:
    """Results of every host's `share` of `count` positions, [its positions, ...], in the order of all."""

    def in_order(x: np.ndarray) -> np.ndarray:
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])[:count]

    return jax.tree.map(in_order, multihost_utils.process_allgather(jax.tree.map(np.asarray, tree)))
