"""What a step of training asks of 1 to 256 chips, on paper: tables in Markdown.

    python -m tests.benchmarks.scale [--data severstal] [--network unet ...] [--batch 1] [--chip.peak 197e12]

No chip is needed. The step that `fit` runs is compiled for two CPU devices, with networks of their published
width on images of the data's own size. The program says what it computes, moves and exchanges; the rest is
arithmetic:

- a chip's time is that of its operations at a share of its peak, or of its bytes, whichever is longer. The
  bytes are those of a program for a CPU, all in float32: an upper bound; `--traffic 0` leaves them out;
- gradients go round a ring, either after all else ("alone") or behind the computation ("hidden");
- at each exchange, two or more a norm, all chips wait for the farthest one, and nothing hides that.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import tyro

from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from configs import neu_seg, severstal
from train.config import Config
from train.data.facts import DataFacts
from train.parallel import map_training
from train.training.experiment import Experiment

NETWORKS = {kind.__name__.lower(): kind() for kind in (UNet, FCN8s, SegNet, DeepLabV3, PSPNet)}
FEWEST_STEPS = 10
"""Steps of an epoch, below which its learning rate, constant within one, moves in leaps: another recipe."""


@dataclass(frozen=True)
class Chip:
    """A kind of chip; the defaults are TPU v5e's.

    References:
        https://cloud.google.com/tpu/docs/v5e, all but `hop`, which is a rule of thumb.
    """

    peak: float = 197e12
    """Operations a second, in bfloat16, as which it multiplies float32, too, unless told otherwise."""
    bandwidth: float = 819e9
    """Bytes a second from and to its memory."""
    ring: float = 100e9
    """Bytes a second that it passes on along a ring: two links of 400 Gbit/s, of its four, one each way."""
    hop: float = 1e-6
    """Seconds from a chip to its neighbor, however little is sent."""
    per_host: int = 8
    """Chips that one host feeds."""


@dataclass(frozen=True)
class Data:
    """A data set, as far as it matters here."""

    config: Config
    """Its recipe."""
    classes: int
    size: tuple[int, int]
    """Height and width that the network sees."""
    images: int
    """Of the training part."""
    bytes: float
    """Of a compressed image, on average."""
    rate: float
    """Images a second that a core reads, decodes and batches."""


# Bytes: means over 42 and all 4470 of the originals' files. Rates: on one core of a busy machine, with the
# made-up photographs of tests.benchmarks.input, neither resized nor cropped.
DATA = {
    "severstal": Data(severstal.config, 5, (256, 1600), 7854, 98e3, 230),
    "neu_seg": Data(neu_seg.config, 4, (200, 200), 3267, 8.2e3, 500),
}


@dataclass(frozen=True)
class Scale:
    """Estimates how training scales."""

    data: tuple[str, ...] = ("severstal", "neu_seg")
    """Which data sets."""
    network: tuple[str, ...] = field(default_factory=lambda: tuple(NETWORKS))
    """Which networks."""
    batch: int = 4
    """Images a chip and step."""
    chips: tuple[int, ...] = (1, 4, 16, 64, 256)
    """How many."""
    share: float = 0.4
    """Of the peak, that convolutions reach."""
    traffic: float = 1.0
    """What the chip moves of the bytes that the program for a CPU moves."""
    chip: Chip = Chip()
    """Its kind."""


class Cost(NamedTuple):
    """What a step costs each chip."""

    parameters: int
    operations: float
    """A multiplication and an addition are two."""
    bytes: float
    """From and to memory."""
    memory: float
    """Bytes of the state, the batch and all intermediate results."""
    exchanges: int
    """All-reduces, that of the gradients included."""


def main(scale: Scale) -> None:
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 2)  # on one there would be nothing to exchange
    for name in scale.data:
        data = DATA[name]
        print(f"\n**{name}**, images of {data.size[0]}x{data.size[1]}, {scale.batch} a chip\n")
        costs = {network: cost(NETWORKS[network], data, scale.batch) for network in scale.network}
        for rows in (one_chip(costs, scale), more_chips(costs, data, scale), recipe(data, scale)):
            print("\n".join(rows), end="\n\n", flush=True)


def cost(model: nn.Module, data: Data, batch: int) -> Cost:
    """Compiles the step for the devices at hand and reads its analysis; nothing is run."""
    config = dataclasses.replace(data.config, model=model)
    classes = tuple(map(str, range(data.classes)))
    experiment = Experiment(config, DataFacts(classes, 1, data.images, data.images, ""))
    state = jax.eval_shape(experiment.random_state)
    index = jnp.zeros((jax.device_count(), batch), jnp.int32)
    label = jnp.zeros((*index.shape, *data.size), jnp.uint8)
    dealt = {"image": label[..., None], "label": label, "masks": {}, "index": index}
    mapped: Any = map_training(experiment.train_step())
    compiled = mapped.lower(state, dealt).compile()
    analysis, memory = compiled.cost_analysis(), compiled.memory_analysis()
    return Cost(
        parameters=sum(x.size for x in jax.tree.leaves(state.params)),
        operations=analysis["flops"],
        bytes=analysis["bytes accessed"],
        memory=memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        exchanges=compiled.as_text().count(" all-reduce("),
    )


def seconds(cost: Cost, scale: Scale) -> tuple[float, float]:
    """Times of a chip's operations and of its memory; its own work takes the longer one."""
    chip = scale.chip
    return cost.operations / (scale.share * chip.peak), scale.traffic * cost.bytes / chip.bandwidth


def ring_seconds(size: float, chips: int, chip: Chip) -> float:
    """Time to add up `size` bytes over all chips: on a ring, each passes nearly all of them on twice."""
    return 2 * (chips - 1) / chips * size / chip.ring


def wait_seconds(exchanges: int, chips: int, chip: Chip) -> float:
    """Time for word from corner to corner of a square of chips, and back, at each exchange."""
    return exchanges * 2 * 2 * (math.sqrt(chips) - 1) * chip.hop


def one_chip(costs: dict[str, Cost], scale: Scale) -> Iterator[str]:
    """What the step costs a chip."""
    yield head(
        "network, parameters, operations, bytes, memory, exchanges, ms by operations, ms by bytes, images/s"
    )
    for network, cost in costs.items():
        own = seconds(cost, scale)
        sizes = f"{cost.bytes / 1e9:.0f} GB", f"{cost.memory / 1e9:.1f} GB"
        times = *(f"{1e3 * x:.1f}" for x in own), f"{scale.batch / max(own):.0f}"
        counts = f"{cost.parameters / 1e6:.1f} M", f"{cost.operations / 1e12:.2f} T"
        yield row(network, *counts, *sizes, cost.exchanges, *times)


def more_chips(costs: dict[str, Cost], data: Data, scale: Scale) -> Iterator[str]:
    """What more of them make of it, each with as many images."""
    yield head(
        "network, chips, MB of gradients, their ms, ms of waiting, ms a step alone, hidden, "
        "efficiency alone, hidden, images/s a host, MB/s a host, cores a host"
    )
    for network, cost in costs.items():
        own, gradients = max(seconds(cost, scale)), 4 * cost.parameters
        for chips in scale.chips:
            ring = ring_seconds(gradients, chips, scale.chip)
            wait = wait_seconds(cost.exchanges, chips, scale.chip)
            steps = own + wait + ring, max(own + wait, ring)
            times = *(f"{1e3 * x:.1f}" for x in (ring, wait, *steps)), *(f"{own / x:.2f}" for x in steps)
            # A host has to keep up with the faster of the two.
            fed = scale.batch * min(chips, scale.chip.per_host) / steps[1]
            feeding = f"{fed:.0f}", f"{fed * data.bytes / 1e6:.1f}", f"{fed / data.rate:.1f}"
            yield row(network, chips, f"{gradients / 1e6:.0f}", *times, *feeding)


def recipe(data: Data, scale: Scale) -> Iterator[str]:
    """What so many images a step make of the recipe."""
    known, rate = data.config.batch_size, data.config.optimizer.learning_rate.initial
    yield head("chips, images a step, steps an epoch, learning rate by the square root, ")
    for chips in scale.chips:
        images = chips * scale.batch
        steps = data.images // images
        remark = "the recipe" if images == known else "too few steps" if steps < FEWEST_STEPS else ""
        yield row(chips, images, steps, f"{rate * math.sqrt(images / known):.1e}", remark)


def head(titles: str) -> str:
    """The first two lines of a table."""
    names = titles.split(", ")
    return f"{row(*names)}\n{'|---' * len(names)}|"


def row(*cells: object) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main(tyro.cli(Scale, description=__doc__))
