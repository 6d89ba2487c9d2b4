"""The only place that knows about devices and hosts: one program, mapped over all of them.

Every host runs the same command on the same files. Training is mapped over the devices of all hosts.
Inference is mapped over the devices of each host alone, so that no host waits for another there. The mapping
is `jax.pmap`, which since jax 0.8 is `jax.jit` of a `jax.shard_map` over a mesh of these devices.
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

AXIS = "batch"
"""Name of the mapped axis: the devices that share a batch."""
_PIXELS_PER_DEVICE = 2**20
"""Pixels per device in an inference batch: enough to keep a device busy."""

Tree = TypeVar("Tree")


class Process(NamedTuple):
    """Arguments of `jax.distributed.initialize`, by which a process finds the other processes of a run."""

    coordinator: str | None
    """HOST:PORT where the first process listens; None: jax asks the environment (SLURM, Open MPI, TPU
    slices)."""
    num_processes: int | None
    process_id: int | None
    """From 0."""


def initialize_distributed(process: Process) -> None:
    """Make this process one of those that share a run; to be called before jax looks for devices.

    Raises:
        UserError: the environment does not name the other processes, or they cannot be reached.
    """
    try:
        # At the end the others wait for the first process, which writes the report.
        jax.distributed.initialize(*process, shutdown_timeout_seconds=24 * 3600)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"distributed: cannot find or reach the other processes ({' '.join(str(error).split())}); start "
            "all of them by srun, mpirun or on every host of a TPU slice, or give each --coordinator "
            "HOST:PORT, --num-processes and --process-id"
        ) from error


def is_first_host() -> bool:
    """Whether this is the host that writes files and prints."""
    return jax.process_index() == 0


@contextlib.contextmanager
def refuse_together() -> Iterator[None]:
    """Raise a UserError of one host on all hosts, at the end of the context.

    Otherwise the other hosts would wait for the refused one in their first collective operation.
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
        raise UserError(f"host {refused[0]}: was refused; see its message")


def check_batch_size(batch_size: int, accumulation: int) -> None:
    """Refuse a batch that cannot be split evenly over the devices and the micro-batches.

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


def inference_batch_size(batch_size: int, size: tuple[int, int]) -> int:
    """Images of an inference batch on this host.

    Args:
        batch_size: of training, over all devices; the upper limit.
        size: height and width of the images; larger images make smaller batches.
    """
    per_device = min(batch_size // jax.device_count(), _PIXELS_PER_DEVICE // math.prod(size))
    return jax.local_device_count() * max(1, per_device)


def map_training(step: Callable, devices: Sequence[Any] | None = None) -> Callable:
    """Map a training step `(state, batch) -> (state, report)` over devices; None: those of all hosts.

    The state goes in and comes out without an axis for the devices, and its memory is donated; the batch has
    that axis, made by `shard`. What the step returns must be equal on all devices: the value of the first is
    taken.
    """
    return jax.pmap(step, AXIS, in_axes=(None, 0), out_axes=None, donate_argnums=0, devices=devices)


def map_inference(step: Callable) -> Callable:
    """Map `(state, batch) -> outputs` over the devices of this host; outputs keep the axis of the devices.

    The state comes from `replicate_locally`, the batch from `shard`.
    """
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), devices=jax.local_devices())


def on_cpu(function: Callable) -> Callable:
    """Return a function of arrays that runs on the CPU of this host, beside the steps on devices."""
    cpu = jax.local_devices(backend="cpu")[0]

    def run(*arrays: np.ndarray) -> Any:
        with jax.default_device(cpu):
            return jax.device_get(function(*arrays))

    return run


def compile_for_cpu(function: Callable) -> Callable:
    """Compile a function of arrays for the CPU of this host."""
    return on_cpu(jax.jit(function))


def replicate(tree: Any) -> Any:
    """Put equal copies on the devices of all hosts; otherwise the first step would be compiled twice."""
    return _copy_to(tree, jax.devices())


def replicate_locally(tree: Any) -> Any:
    """Put equal copies on the devices of this host."""
    return _copy_to(jax.device_get(tree), jax.local_devices())


def _copy_to(tree: Any, devices: Sequence[Any]) -> Any:
    return jax.device_put(tree, NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec()))


def shard(batch: Any) -> Any:
    """Split a batch over the devices of this host: [b, ...] -> [devices, b / devices, ...].

    Neighbors go to different devices, as they go to different hosts in the input pipeline.
    """
    devices = jax.local_device_count()
    return jax.tree.map(lambda x: np.stack([x[d::devices] for d in range(devices)]), batch)


def unshard(outputs: Any) -> Any:
    """Invert `shard`, on the host: [devices, b / devices, ...] -> [b, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).swapaxes(0, 1).reshape(-1, *x.shape[2:]), outputs)


def local_positions(count: int) -> list[int]:
    """Positions of the examples that this host evaluates, equally many on all hosts; the last may repeat."""
    hosts = jax.process_count()
    return [min(i, count - 1) for i in range(jax.process_index(), -(-count // hosts) * hosts, hosts)]


def gather(tree: Tree, count: int) -> Tree:
    """Collect the results [positions, ...] of every host's `local_positions` of `count`, in order."""

    def in_order(x: np.ndarray) -> np.ndarray:
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])[:count]

    return jax.tree.map(in_order, multihost_utils.process_allgather(jax.tree.map(np.asarray, tree)))
