"""Estimated scaling of a training step to 1 to 256 chips, as Markdown tables.

    python -m tests.benchmarks.scale [--data severstal] [--network unet ...] [--dtype bfloat16] [--batch 1]

No chip is needed, but the compilers in the environment of `tests.benchmarks.compiled`, which is made if it is
not there. The step that `fit` runs is compiled for the four chips of a TPU v5e 2x2, with networks of their
published width on images of their original size; each takes minutes. The compiled program has the number of
operations, the memory traffic as the compiler counts it, the memory and the all-reduces; times follow by
arithmetic:

- a chip takes the time of its operations at a fraction of its peak, or of its memory traffic at its full
  bandwidth, whichever is longer;
- gradients are reduced over a ring, either after the computation ("alone") or overlapped with it ("hidden");
- at every all-reduce, two or more per norm, all chips wait for the farthest one; this latency is not hidden.
"""

import dataclasses
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import tyro

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from configs import neu_seg, severstal
from tests.benchmarks.compiled import environment
from tests.benchmarks.compiled.targets import devices, variables
from train.config import Config
from train.data.facts import DataFacts
from train.parallel import map_training
from train.training.experiment import Experiment

NETWORKS = {kind.__name__.lower(): kind() for kind in (UNet, FCN8s, SegNet, DeepLabV3, PSPNet)}
NO_SPACE_TO_BATCH = {
    "xla_tpu_run_space_to_batch": "false",
    "xla_tpu_run_space_to_batch_on_new_platforms": "false",
}
"""Options of the compiler; either alone changes nothing."""
FEWEST_STEPS = 10
"""Minimum number of steps per epoch: with fewer, the rate, constant within an epoch, changes too coarsely."""


@dataclass(frozen=True)
class Chip:
    """A kind of chip; the defaults are those of TPU v5e.

    References:
        https://cloud.google.com/tpu/docs/v5e; `hop` is a rule of thumb.
    """

    peak: float = 197e12
    """Operations per second in bfloat16, which TPUs by default use for products of float32 as well."""
    bandwidth: float = 819e9
    """Memory bandwidth in bytes per second."""
    ring: float = 100e9
    """Bytes per second sent along a ring: two of the four links of 400 Gbit/s, one in each direction."""
    hop: float = 1e-6
    """Latency in seconds between neighbors."""
    per_host: int = 8
    """Chips of one host."""


@dataclass(frozen=True)
class Data:
    """Properties of a data set on which the estimates depend."""

    config: Config
    """Config that trains on the data set."""
    classes: int
    size: tuple[int, int]
    """Height and width of the input of the network."""
    images: int
    """Number of images of the training part."""
    bytes: float
    """Mean size of an image file."""
    rate: float
    """Images per second that a core reads, decodes and batches."""


# Bytes: means over 42 files of Severstal and all 4470 of NEU-Seg. Rates: on one core of a busy machine, with
# the synthetic photographs of tests.benchmarks.input, neither resized nor cropped.
DATA = {
    "severstal": Data(severstal.config, 5, (256, 1600), 7854, 98e3, 230),
    "neu_seg": Data(neu_seg.config, 4, (200, 200), 3267, 8.2e3, 500),
}


@dataclass(frozen=True)
class Scale:
    """Estimate how training scales."""

    data: tuple[str, ...] = ("severstal", "neu_seg")
    """Data sets, by name."""
    network: tuple[str, ...] = field(default_factory=lambda: tuple(NETWORKS))
    """Networks, by name."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Computing type of the networks."""
    batch: int = 4
    """Images per chip and step."""
    space_to_batch: bool = True
    """Whether the compiler may move parts of the rows of fewer than 8 images into the batch, as it does by
    itself."""
    chips: tuple[int, ...] = (1, 4, 16, 64, 256)
    """Numbers of chips."""
    utilization: float = 0.4
    """Fraction of the peak that convolutions reach."""
    chip: Chip = Chip()
    """Kind of chip."""


class Cost(NamedTuple):
    """Cost of a step on each chip."""

    parameters: int
    operations: float
    """Floating-point operations: a multiplication and an addition count as two."""
    bytes: float
    """Memory traffic by the compiler's count."""
    memory: float
    """Bytes of the state, the batch and all intermediate results; the next state takes the memory of the
    state."""
    exchanges: int
    """Number of all-reduces, that of the gradients included."""


def main(scale: Scale) -> None:
    chips = devices("tpu")
    for name in scale.data:
        data = DATA[name]
        print(f"\n**{name}**, images of {data.size[0]}x{data.size[1]}, {scale.batch} a chip, {scale.dtype}\n")
        options = {} if scale.space_to_batch else NO_SPACE_TO_BATCH
        models = {network: NETWORKS[network].clone(dtype=scale.dtype) for network in scale.network}
        costs = {network: cost(model, data, scale.batch, chips, options) for network, model in models.items()}
        for rows in (one_chip(costs, scale), more_chips(costs, data, scale), recipe(data, scale)):
            print("\n".join(rows), end="\n\n", flush=True)


def cost(model: nn.Module, data: Data, batch: int, chips: list[Any], options: dict[str, str]) -> Cost:
    """Return the cost of a step on each of the chips; the step is compiled for them, not run."""
    config = dataclasses.replace(data.config, model=model)
    classes = tuple(map(str, range(data.classes)))
    experiment = Experiment(config, DataFacts(classes, 1, data.images, data.images, ""))
    state = jax.eval_shape(experiment.random_state)
    index = jax.ShapeDtypeStruct((len(chips), batch), jnp.int32)
    label = jax.ShapeDtypeStruct((*index.shape, *data.size), jnp.uint8)
    image = jax.ShapeDtypeStruct((*label.shape, 1), jnp.uint8)
    dealt = {"image": image, "label": label, "masks": {}, "index": index}
    mapped: Any = map_training(experiment.train_step(), chips)
    compiled = mapped.lower(state, dealt).compile(options or None)
    analysis, memory = compiled.cost_analysis(), compiled.memory_analysis()
    return Cost(
        parameters=sum(x.size for x in jax.tree.leaves(state.params)),
        operations=analysis["flops"],
        bytes=analysis["bytes accessed"],
        memory=memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        exchanges=len(re.findall(r" all-reduce(?:-start)?\(", compiled.as_text())),
    )


def seconds(cost: Cost, scale: Scale) -> tuple[float, float]:
    """Return the times of a chip's operations and of its memory traffic; the longer one bounds the step."""
    chip = scale.chip
    return cost.operations / (scale.utilization * chip.peak), cost.bytes / chip.bandwidth


def ring_seconds(size: float, chips: int, chip: Chip) -> float:
    """Return the time of an all-reduce of `size` bytes on a ring: each chip sends almost twice that."""
    return 2 * (chips - 1) / chips * size / chip.ring


def wait_seconds(exchanges: int, chips: int, chip: Chip) -> float:
    """Return the latency of all-reduces: hops between opposite corners of a square of chips, and back."""
    return exchanges * 2 * 2 * (math.sqrt(chips) - 1) * chip.hop


def one_chip(costs: dict[str, Cost], scale: Scale) -> Iterator[str]:
    """Yield the table of the costs of a step on one chip."""
    yield head(
        "network, parameters, operations, bytes, memory, exchanges, ms by operations, ms by bytes, images/s"
    )
    for network, cost in costs.items():
        compute = seconds(cost, scale)
        sizes = f"{cost.bytes / 1e9:.0f} GB", f"{cost.memory / 1e9:.1f} GB"
        times = *(f"{1e3 * x:.1f}" for x in compute), f"{scale.batch / max(compute):.0f}"
        counts = f"{cost.parameters / 1e6:.1f} M", f"{cost.operations / 1e12:.2f} T"
        yield row(network, *counts, *sizes, cost.exchanges, *times)


def more_chips(costs: dict[str, Cost], data: Data, scale: Scale) -> Iterator[str]:
    """Yield the table of weak scaling: more chips, each with as many images."""
    yield head(
        "network, chips, MB of gradients, their ms, ms of waiting, ms a step alone, hidden, "
        "efficiency alone, hidden, images/s a host, MB/s a host, cores a host"
    )
    for network, cost in costs.items():
        compute, gradients = max(seconds(cost, scale)), 4 * cost.parameters
        for chips in scale.chips:
            ring = ring_seconds(gradients, chips, scale.chip)
            wait = wait_seconds(cost.exchanges, chips, scale.chip)
            steps = compute + wait + ring, max(compute + wait, ring)
            times = *(f"{1e3 * x:.1f}" for x in (ring, wait, *steps)), *(f"{compute / x:.2f}" for x in steps)
            # A host has to keep up with the faster, overlapped step.
            rate = scale.batch * min(chips, scale.chip.per_host) / steps[1]
            feeding = f"{rate:.0f}", f"{rate * data.bytes / 1e6:.1f}", f"{rate / data.rate:.1f}"
            yield row(network, chips, f"{gradients / 1e6:.0f}", *times, *feeding)


def recipe(data: Data, scale: Scale) -> Iterator[str]:
    """Yield the table of batch sizes, steps per epoch and learning rates by number of chips."""
    batch, rate = data.config.batch_size, data.config.optimizer.learning_rate.initial
    yield head("chips, images a step, steps an epoch, learning rate by the square root, ")
    for chips in scale.chips:
        images = chips * scale.batch
        steps = data.images // images
        remark = "the recipe" if images == batch else "too few steps" if steps < FEWEST_STEPS else ""
        yield row(chips, images, steps, f"{rate * math.sqrt(images / batch):.1e}", remark)


def head(titles: str) -> str:
    """Return the first two lines of a table."""
    names = titles.split(", ")
    return f"{row(*names)}\n{'|---' * len(names)}|"


def row(*cells: object) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    options = tyro.cli(Scale, description=__doc__)
    if Path(sys.prefix) == environment.ENVIRONMENT:
        main(options)
    else:
        environment.make()
        with environment.run("tests.benchmarks.scale", *sys.argv[1:], variables=variables("tpu")) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
        sys.exit(process.returncode)
