"""Losses and masks against other libraries: time and memory of a value and its gradient.

    python -m tests.benchmarks.losses [--rounds 9] [--dtype bfloat16] [--out tests/benchmarks/losses.md]

Needs `pip install '.[bench]'` and PyTorch. Everything runs under `jit`, interleaved in one process; a ratio
is the median over the rounds. PyTorch runs with one thread and with all, and the faster counts. On a machine
with a GPU that PyTorch sees, it is compiled and runs there. The floor divided by the figure is the fraction
of the memory bandwidth that is reached.
"""

import functools
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import tyro

from balanced_jax.losses import (
    all_entries_truncated_cross_entropy,
    balanced_loss,
    dice_loss,
    iou_loss,
    lovasz_softmax_loss,
    sigmoid_balanced_loss,
    sigmoid_focal_loss,
    sigmoid_truncated_cross_entropy,
    softmax_cross_entropy,
    softmax_focal_loss,
    softmax_truncated_cross_entropy,
    tversky_loss,
)
from balanced_jax.masks import balance_mask, confusion_mask
from tests.benchmarks.timing import Candidate, alternate, ratio, temporary_bytes

CLASSES = (2, 5, 12)
SHAPE = (8, 512, 512)
FLOAT32 = np.dtype(np.float32)
DEVICE = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Options:
    """Compare losses and masks with other libraries."""

    rounds: int = 9
    """Number of times that each candidate is timed."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the logits, in all libraries."""
    out: Path | None = None
    """File for the table, which is printed as well."""


class Figure(NamedTuple):
    """One row of the table."""

    what: str
    classes: int
    against: str
    value: float
    target: float | None = None
    floor: float | None = None
    """The value if the library only read its inputs once and wrote its result."""


def main(options: Options) -> None:
    """Print the table."""
    lines = [
        f"{jax.default_backend()}, {os.cpu_count()} cores, {platform.machine()}; jax {jax.__version__}, "
        f"PyTorch {torch.__version__}, {'x'.join(map(str, SHAPE))} pixels unless said otherwise, "
        f"{options.dtype}, median of {options.rounds} rounds; load before the start {os.getloadavg()[0]:.1f}",
        "",
        "| what | C | against | figure | floor | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    for figure in figures(options.rounds, jnp.dtype(options.dtype)):
        floor, target = ("" if x is None else f"{x:.2f}" for x in (figure.floor, figure.target))
        verdict = "missed" if figure.target is not None and figure.value > figure.target else ""
        cells = [figure.what, figure.classes, figure.against, f"{figure.value:.2f}", floor, target, verdict]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(["    python -m tests.benchmarks.losses", "", *lines, ""]))


def figures(rounds: int, dtype: np.dtype) -> Iterator[Figure]:
    """Yield all rows of the table."""
    for classes in CLASSES:
        yield from pixel_losses(classes, rounds, dtype)
    for classes in CLASSES:
        yield from region_losses(classes, rounds, dtype)
    for classes in (2, 5):
        for shape in ((4, 256, 256), (2, 512, 512)):
            yield from lovasz(classes, shape, rounds, dtype)
    for classes in CLASSES:
        yield from masks(classes, rounds)


def surfaces(
    classes: int, shape: tuple[int, ...] = SHAPE, dtype: np.dtype = FLOAT32
) -> tuple[jax.Array, jax.Array]:
    """Return logits that are mostly right, and labels of small rectangles on a background."""
    rng = np.random.default_rng(classes)
    labels = np.zeros(shape, np.int32)
    for image in labels:
        for _ in range(40):
            top, left = (rng.integers(0, side - 20) for side in image.shape)
            height, width = rng.integers(2, 20, 2)
            image[top : top + height, left : left + width] = rng.integers(1, classes)
    logits = rng.standard_normal((*shape, classes)).astype(np.float32)
    logits += 3 * (labels[..., None] == np.arange(classes)) * rng.random((*shape, 1), np.float32)
    return jnp.asarray(logits, dtype), jnp.asarray(labels)


def value_and_gradient(loss: Callable[..., jax.Array]) -> Callable[..., Any]:
    """Return a function that computes the mean of a map, and its gradient by the first argument."""
    return jax.value_and_grad(lambda logits, *others: jnp.mean(loss(logits, *others)))


def pixel_losses(classes: int, rounds: int, dtype: np.dtype) -> Iterator[Figure]:
    """Compare truncated and balanced loss with weighted cross-entropy elsewhere, and measure memory."""
    logits, labels = surfaces(classes, dtype=dtype)
    mask = jax.jit(balance_mask, static_argnums=1)(labels, classes)
    pixels = labels.size

    steps: dict[str, tuple[Callable, tuple]] = {
        "truncated": (lambda z, y, m: softmax_truncated_cross_entropy(z, y, weights=m), (labels, mask)),
        "balanced": (balanced_loss, (labels,)),
        "cross-entropy": (lambda z, y, m: softmax_cross_entropy(z, y, weights=m), (labels, mask)),
        "focal": (lambda z, y, m: softmax_focal_loss(z, y, weights=m), (labels, mask)),
        "optax": (
            lambda z, y, m: optax.losses.softmax_cross_entropy_with_integer_labels(z, y) * m,
            (labels, mask),
        ),
        "naive": (naive_truncated, (labels, mask)),
    }
    jitted = {name: jax.jit(value_and_gradient(loss)) for name, (loss, _) in steps.items()}
    candidates: dict[str, Candidate] = {
        name: lambda name=name: jitted[name](logits, *steps[name][1]) for name in steps
    }
    candidates["floor"] = copying(logits, labels, mask)
    candidates |= torch_candidates(torch_cross_entropy(logits, labels, mask))
    seconds = alternate(candidates, rounds)
    torch_names = [name for name in seconds if name.startswith("torch")]

    def timed(name: str, what: str, peer: str, *peers: str, target: float | None = None) -> Figure:
        floor = ratio(seconds, "floor", *peers)
        return Figure(what, classes, peer, ratio(seconds, name, *peers), target, floor)

    targets = {2: (0.18, 0.28), 5: (0.45, 0.55), 12: (0.58, 0.70)}[classes]
    given, made = "truncated cross-entropy, mask given", "balanced loss, both masks made"
    yield timed("truncated", given, "optax weighted CE", "optax", target=targets[0])
    yield timed("truncated", given, "PyTorch weighted CE", *torch_names, target=0.65)
    yield timed("truncated", given, "the same by autodiff", "naive")
    yield timed("balanced", made, "optax weighted CE", "optax", target=targets[1])
    yield timed("cross-entropy", "cross-entropy", "optax weighted CE", "optax")
    yield timed("focal", "focal", "optax weighted CE", "optax")
    limits = {"truncated": 2, "cross-entropy": 2, "focal": classes, "balanced": classes, "optax": None}
    for name, limit in limits.items():
        maps = temporary_bytes(value_and_gradient(steps[name][0]), logits, *steps[name][1]) / (4 * pixels)
        yield Figure(f"{name}, temporary memory", classes, "maps", maps, limit)
    entries = (labels[..., None] == jnp.arange(classes)).astype(jnp.int32)
    others: dict[str, tuple[Callable, jax.Array]] = {
        "all-entries": (all_entries_truncated_cross_entropy, labels),
        "sigmoid truncated": (sigmoid_truncated_cross_entropy, entries),
        "sigmoid focal": (sigmoid_focal_loss, entries),
        "sigmoid balanced": (sigmoid_balanced_loss, entries),
    }
    for name, (loss, given) in others.items():
        maps = temporary_bytes(value_and_gradient(loss), logits, given) / (4 * pixels)
        yield Figure(f"{name}, temporary memory", classes, "maps", maps, classes)


def naive_truncated(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Return the truncated loss in its plain formulation, for its gradient by automatic differentiation."""
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)[..., 0]
    error = -jnp.expm1(log_p)
    middle = -log_p + np.log(0.7)
    hard = (error - 0.7) / 0.3 - np.log(0.3) + np.log(0.7)
    return mask * jnp.where(error < 0.3, 0, jnp.where(error <= 0.7, middle, hard))


def copying(logits: jax.Array, *maps: jax.Array) -> Candidate:
    """Return the lower bound of every loss: each input read once, a gradient written."""
    step = jax.jit(lambda z, *maps: z * functools.reduce(jnp.add, maps)[..., None].astype(z.dtype))
    return lambda: step(logits, *maps)


def region_losses(classes: int, rounds: int, dtype: np.dtype) -> Iterator[Figure]:
    """Compare Dice, IoU and Tversky losses with the usual PyTorch code."""
    logits, labels = surfaces(classes, dtype=dtype)
    rows = {"Dice": (dice_loss, 0.5), "IoU": (iou_loss, 1.0), "Tversky": (tversky_loss, 0.5)}
    for name, (loss, penalty) in rows.items():
        step = jax.jit(value_and_gradient(loss))
        candidates: dict[str, Candidate] = {"balanced_jax": lambda step=step: step(logits, labels)}
        candidates["floor"] = copying(logits, labels)
        candidates |= torch_candidates(torch_tversky(logits, labels, penalty))
        seconds = alternate(candidates, rounds)
        value, floor = (ratio(seconds, side, "torch 1", "torch n") for side in ("balanced_jax", "floor"))
        yield Figure(name, classes, "PyTorch", value, 0.8, floor)
        maps = temporary_bytes(value_and_gradient(loss), logits, labels) / (4 * labels.size)
        yield Figure(f"{name}, temporary memory", classes, "maps", maps, classes)


def lovasz(classes: int, shape: tuple[int, ...], rounds: int, dtype: np.dtype) -> Iterator[Figure]:
    """Compare the Lovász-softmax loss with the published algorithm, image by image."""
    logits, labels = surfaces(classes, shape, dtype)
    mask = jnp.ones(shape)
    plain, weighted = (
        jax.jit(value_and_gradient(lovasz_softmax_loss)),
        jax.jit(value_and_gradient(lambda z, y, m: lovasz_softmax_loss(z, y, weights=m))),
    )
    candidates: dict[str, Candidate] = {
        "unweighted": lambda: plain(logits, labels),
        "weighted": lambda: weighted(logits, labels, mask),
        "floor": copying(logits, labels),
        **torch_candidates(torch_lovasz(logits, labels)),
    }
    seconds = alternate(candidates, rounds)
    size = "x".join(map(str, shape))
    ratios = {
        side: ratio(seconds, side, "torch 1", "torch n") for side in ("unweighted", "weighted", "floor")
    }
    yield Figure(f"Lovász {size}", classes, "PyTorch", ratios["unweighted"], 1.2, ratios["floor"])
    yield Figure(
        f"Lovász {size}, weighted", classes, "PyTorch, without weights", ratios["weighted"],
        floor=ratios["floor"],
    )  # fmt: skip


def masks(classes: int, rounds: int) -> Iterator[Figure]:
    """Compare the confusion mask with OpenCV's box filter, which only counts the pixels of the windows."""
    _, labels = surfaces(classes)
    on_host = np.asarray(labels, np.uint8)
    mask = jax.jit(confusion_mask, static_argnames=("num_classes", "window"))
    copy = jax.jit(lambda labels: labels.astype(jnp.float32))
    candidates: dict[str, Candidate] = {"copy": lambda: copy(labels)}
    for window in (3, 7, 15):
        candidates[f"balanced_jax {window}"] = lambda w=window: mask(labels, num_classes=classes, window=w)
        candidates[f"boxFilter {window}"] = lambda w=window: box_counts(on_host, classes, w)
    seconds = alternate(candidates, rounds)
    for window in (3, 7, 15):
        sides = (f"balanced_jax {window}", "copy")
        value, floor = (ratio(seconds, side, f"boxFilter {window}") for side in sides)
        what = f"confusion mask, window {window}"
        yield Figure(what, classes, "OpenCV boxFilter, counting alone", value, 1.0, floor)
    growth = ratio(seconds, "balanced_jax 15", "balanced_jax 3")
    yield Figure("confusion mask, window 15", classes, "window 3", growth, 1.5)


def box_counts(labels: np.ndarray, classes: int, window: int) -> list[np.ndarray]:
    """Return how many pixels of each class each window holds, by OpenCV."""
    size, border = (window, window), cv2.BORDER_CONSTANT
    return [
        cv2.boxFilter((image == k).astype(np.uint8), cv2.CV_16U, size, normalize=False, borderType=border)
        for image in labels
        for k in range(classes)
    ]


def torch_candidates(run: Candidate) -> dict[str, Candidate]:
    """Return a PyTorch computation with one thread and with one per core; on a GPU, the same one twice."""
    if DEVICE == "cuda":

        def synchronized() -> None:
            run()
            torch.cuda.synchronize()

        return {"torch 1": synchronized, "torch n": synchronized}

    def with_threads(threads: int) -> Candidate:
        def timed() -> None:
            torch.set_num_threads(threads)
            run()

        return timed

    return {"torch 1": with_threads(1), "torch n": with_threads(os.cpu_count() or 1)}


def to_torch(logits: jax.Array, labels: jax.Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tensors: logits [n, c, h, w] in channels_last, labels int64."""
    leaf = torch.from_numpy(np.array(logits, np.float32)).to(getattr(torch, str(logits.dtype)))
    return (
        leaf.permute(0, 3, 1, 2).to(DEVICE).requires_grad_(),
        torch.from_numpy(np.array(labels, np.int64)).to(DEVICE),
    )


def compiled(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loss compiled by PyTorch on a GPU, unchanged on a CPU."""
    return torch.compile(loss) if DEVICE == "cuda" else loss


def torch_cross_entropy(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Candidate:
    """Return the gradient of the mean of cross-entropy times a map."""
    leaf, target = to_torch(logits, labels)
    weight = torch.from_numpy(np.array(mask)).to(DEVICE)
    loss = compiled(
        lambda z: (torch.nn.functional.cross_entropy(z, target, reduction="none") * weight).mean()
    )

    def run() -> None:
        leaf.grad = None
        loss(leaf).backward()

    return run


def torch_tversky(logits: jax.Array, labels: jax.Array, penalty: float) -> Candidate:
    """Return the gradient of the usual soft Tversky loss with equal penalties (.5: Dice; 1: IoU)."""
    leaf, target = to_torch(logits, labels)

    @compiled
    def loss(z: torch.Tensor) -> torch.Tensor:
        p = z.softmax(1)
        y = torch.nn.functional.one_hot(target, z.shape[1]).permute(0, 3, 1, 2).to(p.dtype)
        both, wrong, missed = ((a * b).sum((2, 3)) for a, b in ((p, y), (p, 1 - y), (1 - p, y)))
        return (1 - both / (both + penalty * (wrong + missed)).clamp_min(1e-6)).mean()

    def run() -> None:
        leaf.grad = None
        loss(leaf).backward()

    return run


def torch_lovasz(logits: jax.Array, labels: jax.Array) -> Candidate:
    """Return the gradient of the Lovász-softmax loss by its published algorithm, image by image."""
    leaf, target = to_torch(logits, labels)

    def of_class(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        errors, order = torch.sort((y - p).abs(), descending=True)
        y = y[order]
        union = y.sum() + (1 - y).cumsum(0)
        jaccard = 1 - (y.sum() - y.cumsum(0)) / union
        return torch.dot(errors, torch.diff(jaccard, prepend=jaccard.new_zeros(1)))

    def of_image(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        costs = [of_class(p[k].flatten(), (y == k).flatten().float()) for k in y.unique().tolist()]
        return torch.stack(costs).mean()

    def run() -> None:
        leaf.grad = None
        torch.stack([of_image(p, y) for p, y in zip(leaf.softmax(1), target, strict=True)]).mean().backward()

    return run


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
