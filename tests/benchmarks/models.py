"""The five networks against PyTorch: parameters, differences, time and memory, as a Markdown table.

    python -m tests.benchmarks.models [--network unet ...] [--rounds 11]
    python -m tests.benchmarks.models --width 64 --size 512 --dtype bfloat16   # on a GPU

A training step (Adam, cross-entropy, auxiliary head included) and inference on the same images, interleaved
in one process, PyTorch in channels_last. Ratios are the time in JAX divided by that in PyTorch, medians over
the rounds; widths are reduced, dropout is off. Memory is what a compiled step allocates beside its state.
Where JAX and PyTorch both see a GPU, PyTorch runs there, compiled, and in bfloat16 under autocast. Run this
alone on an idle machine. Needs `torch==2.13.0` and the extra `[test]`.
"""

import dataclasses
import functools
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch  # pyright: ignore[reportMissingImports]
import tyro

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from tests.benchmarks.timing import alternate, ratio
from tests.references import networks, torch_networks
from tests.references.networks import CASES, Case

DEVICE = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
"""Device of PyTorch."""
PUBLISHED: dict[str, tuple[nn.Module, int, str]] = {
    "unet": (UNet(num_classes=2), 1, "31.0 M (counted from figure 1)"),
    "fcn8s": (FCN8s(num_classes=21, norm="none"), 3, "134 M (arXiv:1511.00561, section 3)"),
    "segnet": (SegNet(num_classes=12), 3, "14.7 M in the encoder (arXiv:1511.00561, section 3)"),
    "deeplabv3": (DeepLabV3(num_classes=21), 3, "42,004,074 (torchvision)"),
    "pspnet": (PSPNet(num_classes=19), 3, "48.98 M (MMSegmentation, deep stem: 19,232 more)"),
}
"""Networks as published, channels of their images, and the published number of parameters."""


@dataclass(frozen=True)
class Benchmark:
    """Compare networks with PyTorch."""

    network: tuple[str, ...] = field(default_factory=lambda: tuple(PUBLISHED))
    """Networks to compare, by name."""
    rounds: int = 11
    """Number of times that each candidate is timed."""
    width: int = 16
    """Channels of the first stage."""
    size: int = 128
    """Height and width of the images."""
    batch: int = 8
    """Images of a step."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the computation; parameters and logits are float32."""


def main(benchmark: Benchmark) -> None:
    columns = (
        "network", "parameters", "published", "difference", "training", "images/s", "inference", "memory",
        "with remat",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in benchmark.network:
        print(f"| {name} | {' | '.join(row(name, benchmark))} |", flush=True)


def row(name: str, benchmark: Benchmark) -> list[str]:
    """Return the cells of a network's row of the table."""
    case = at_size(CASES[name], benchmark)
    peer, shapes = pytorch(case)
    variables = jax.tree.map(jnp.asarray, networks.variables(case, shapes))
    case = dataclasses.replace(case, model=case.model.clone(dtype=benchmark.dtype))
    autocast = functools.partial(
        torch.autocast, DEVICE, torch.bfloat16, enabled=benchmark.dtype == "bfloat16"
    )
    images = networks.images(case)
    labels = np.random.default_rng(0).integers(0, 3, case.shape[:3])

    inference = jax.jit(functools.partial(case.model.apply, train=False))
    torch_images = torch.tensor(images).movedim(-1, 1).contiguous(memory_format=torch.channels_last)
    torch_images = torch_images.to(DEVICE)
    with torch.no_grad():
        expected = peer.eval()(torch_images).movedim(1, -1).cpu().numpy()
    run = torch.compile(peer) if DEVICE == "cuda" else peer
    difference = np.abs(np.asarray(inference(variables, images)) - expected).max() / np.ptp(expected)

    def infer_in_torch():
        with torch.inference_mode(), autocast():
            run(torch_images)
        synchronize()

    def timed(in_jax, in_torch):
        return alternate({"JAX": in_jax, "PyTorch": in_torch}, benchmark.rounds)

    inferring = ratio(timed(lambda: inference(variables, images), infer_in_torch), "JAX", "PyTorch")
    train, memory = step(case.model, variables, images, labels)
    _, memory_remat = step(case.model.clone(remat=True), variables, images, labels)
    seconds = timed(train, torch_step(peer, run, torch_images, labels, autocast))
    training = ratio(seconds, "JAX", "PyTorch")
    model, channels, published = PUBLISHED[name]
    return [
        f"{parameters(model, channels):,}",
        published,
        f"{difference:.0e}",
        f"{training:.2f}",
        f"{benchmark.batch / statistics.median(seconds['JAX']):.0f}",
        f"{inferring:.2f}",
        f"{memory / 2**20:.0f} MiB",
        f"{memory_remat / 2**20:.0f} MiB",
    ]


def at_size(case: Case, benchmark: Benchmark) -> Case:
    """Return a case of the tests at its full depth, and at the width and image size of the benchmark."""
    arguments: dict[str, Any] = {**case.arguments, "width": benchmark.width}
    for name, value in {"depth": 4, "blocks": (3, 4, 6, 3)}.items():
        if name in arguments:
            arguments[name] = value
    fields = {name: value for name, value in arguments.items() if name != "norms"}
    shape = (benchmark.batch, benchmark.size, benchmark.size, case.shape[-1])
    layers = networks.unet_layers(arguments["depth"]) if "depth" in arguments else case.layers
    model = case.model.clone(**fields)
    return dataclasses.replace(case, model=model, layers=layers, arguments=arguments, shape=shape)


def pytorch(case: Case) -> tuple[Any, networks.Shapes]:
    """Return the network of PyTorch in channels_last with random weights, and the shapes of its weights."""
    peer = getattr(torch_networks, case.twin)(classes=3, channels=case.shape[-1], **case.arguments)
    shapes = {name: tuple(x.shape) for name, x in peer.state_dict().items() if x.ndim}
    tensors = {name: torch.tensor(x) for name, x in networks.weights(shapes).items()}
    peer.load_state_dict(tensors, strict=False)
    return peer.to(DEVICE, memory_format=torch.channels_last), shapes


def step(
    model: nn.Module, variables: dict[str, Any], images: np.ndarray, labels: np.ndarray
) -> tuple[Callable[[], None], int]:
    """Return a training step in JAX that keeps its state, and the bytes that the step allocates beside it."""
    optimizer = optax.adam(1e-4)

    def cost(logits):
        return softmax_cross_entropy(logits, labels).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(params, collections, moments):
        def total(params):
            logits, new = model.apply(
                {"params": params, **collections}, images, train=True, mutable=[*collections, "auxiliary"]
            )
            auxiliary = jax.tree.leaves(new.get("auxiliary", {}))
            kept = {name: new[name] for name in collections}
            return cost(logits) + 0.4 * sum(cost(scores) for scores in auxiliary), kept

        gradient, kept = jax.grad(total, has_aux=True)(params)
        updates, moments = optimizer.update(gradient, moments, params)
        return optax.apply_updates(params, updates), kept, moments

    collections = jax.tree.map(jnp.copy, {k: x for k, x in variables.items() if k != "params"})
    params = jax.tree.map(jnp.copy, variables["params"])
    state = [params, collections, optimizer.init(params)]
    compiled = update.lower(*state).compile()

    def train():
        state[:] = jax.block_until_ready(compiled(*state))

    memory: Any = compiled.memory_analysis()
    return train, memory.temp_size_in_bytes


def synchronize() -> None:
    """Wait until PyTorch's device is done."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def torch_step(
    peer: Any, run: Any, images: Any, labels: np.ndarray, precision: Callable[[], Any]
) -> Callable[[], None]:
    """Return the training step in PyTorch; `run` is `peer`, compiled on a GPU."""
    optimizer = torch.optim.Adam(peer.parameters(), lr=1e-4)
    cost, expected = torch.nn.functional.cross_entropy, torch.tensor(labels).to(DEVICE)
    peer.train()

    def train():
        optimizer.zero_grad()
        with precision():
            loss = cost(run(images), expected)
            if hasattr(peer, "auxiliary"):
                loss = loss + 0.4 * cost(peer.auxiliary, expected)
        loss.backward()
        optimizer.step()
        synchronize()

    return train


def parameters(model: nn.Module, channels: int) -> int:
    """Return the number of parameters."""
    images = jnp.zeros((1, 64, 64, channels))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return sum(x.size for x in jax.tree.leaves(shapes["params"]))


if __name__ == "__main__":
    main(tyro.cli(Benchmark))
