"""The input pipeline against PyTorch's DataLoader: images a second, decoded, resized, cropped and batched.

    python -m tests.benchmarks.input [--seconds 10]

Both read the same made-up photographs (JPEG) and masks (PNG), ours from a prepared set with as many threads,
the DataLoader with Pillow from the files with as many worker processes as there are cores: once decoding each
image each time, as the DataLoader does, and once as `fit` does, which keeps what it has decoded. In turn,
medians of the rounds. Then how long the first batch takes in a fresh process, and the memory of that
process after each of three passes. Needs PyTorch. Run it alone on an idle machine.
"""

import gc
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import tyro
from PIL import Image

from tests.benchmarks.memory import largest_resident
from train.data.pipeline import training_batches
from train.data.prepare import Part, prepare
from train.data.sets import Folder

SIZES = {"200x200": (200, 200), "512x512": (512, 512), "256x1600": (256, 1600)}
"""Height and width of the photographs; half of that is what the network sees."""


@dataclass(frozen=True)
class Benchmark:
    """Measures the input."""

    seconds: float = 5.0
    """How long each turn lasts."""
    rounds: int = 5
    """Turns of each side."""
    images: int = 1024
    """Photographs of each size; one in 16 is drawn, the others are copies of them."""
    batch: int = 16
    """Images a batch."""


def main(benchmark: Benchmark) -> None:
    sides = ("decoding each time", "kept in memory", "DataLoader")
    print(f"| photographs | {' | '.join(sides)} | ratios to it | first batch | memory after passes |")
    print("|---|---|---|---|---|---|---|")
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            rates, start, memory = measured(Path(folder), size, benchmark)
        figures = [f"{statistics.median(rate):.0f}/s" for rate in rates.values()]
        *ours, theirs = rates.values()
        ratios = [statistics.median(a / b for a, b in zip(x, theirs, strict=True)) for x in ours]
        passes = ", ".join(f"{x / 2**20:.0f}" for x in memory)
        print(
            f"| {name} | {' | '.join(figures)} | {', '.join(f'{x:.2f}' for x in ratios)} | {start:.1f} s | "
            f"{passes} MiB |",
            flush=True,
        )


def measured(
    folder: Path, size: tuple[int, int], benchmark: Benchmark
) -> tuple[dict[str, list[float]], float, list[int]]:
    """Images a second of all sides, turn by turn; seconds to the first batch; bytes held after each pass."""
    paint(folder, size, benchmark.images)
    seen = (size[0] // 2, size[1] // 2)
    data = Folder(images=str(folder / "images"), masks=str(folder / "masks"), validation=0.02, test=0.02)
    part = prepare(data, data_dir=folder / "prepared").parts["train"]
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        start, memory = fresh.apply(three_passes, (data, folder / "prepared", seen, benchmark.batch))
    kept = ours(part, seen, benchmark.batch, memory=2**32)
    for _ in range(len(part) // benchmark.batch):  # the first pass decodes
        next(kept)
    sides = {
        "decoding": lambda: ours(part, seen, benchmark.batch, memory=0),
        "kept": lambda: kept,
        "theirs": lambda: theirs(folder, seen, benchmark.batch),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(benchmark.rounds):
        for name, begin in sides.items():
            rates[name].append(rate(begin(), benchmark))
            gc.collect()  # ends the threads or processes that read ahead, and would do so in the other's turn
    return rates, start, memory


def three_passes(data: Folder, data_dir: Path, size: tuple[int, int], batch: int) -> tuple[float, list[int]]:
    """Seconds from a prepared set to its first batch, and the largest resident size after each pass."""
    begin = time.perf_counter()
    part = prepare(data, data_dir=data_dir).parts["train"]
    batches = ours(part, size, batch, memory=2**32)
    next(batches)
    start = time.perf_counter() - begin
    memory = []
    for _ in range(3):
        for _ in range(len(part) // batch):
            next(batches)
        memory.append(largest_resident())
    return start, memory


def rate(batches: Iterator[Any], benchmark: Benchmark) -> float:
    """Images a second, from the second batch on."""
    next(batches)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < benchmark.seconds:
        next(batches)
        count += benchmark.batch
    return count / (time.perf_counter() - begin)


def paint(folder: Path, size: tuple[int, int], images: int) -> None:
    """Grain under a slope of light, with a square of a defect; most of the files are links to a few."""
    rng = np.random.default_rng(0)
    drawn = images // 16
    for k in range(drawn):
        light = np.linspace(60, 190, size[1]) + rng.normal(0, 12, size)
        label = np.zeros(size, np.uint8)
        label[20:60, 30:80] = k % 2
        for kind, pixels, ending in (("images", light, "jpg"), ("masks", label, "png")):
            path = folder / kind / f"{k}.{ending}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            for copy in range(k + drawn, images, drawn):
                path.with_stem(f"{copy}").hardlink_to(path)


def ours(part: Part, size: tuple[int, int], batch: int, memory: int) -> Iterator[Any]:
    """Batches as `fit` takes them, without end."""
    crop = (size[0] - 8, size[1] - 8)
    return training_batches(part, size=size, crop=crop, batch_size=batch, passes=10**6, seed=0, memory=memory)


def theirs(folder: Path, size: tuple[int, int], batch: int) -> Iterator[Any]:
    """The same by a DataLoader, without end."""
    loader = torch.utils.data.DataLoader(
        Photographs(folder, size),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        persistent_workers=True,
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


class Photographs(torch.utils.data.Dataset):
    """The files, decoded and resized by Pillow, cropped at random."""

    def __init__(self, folder: Path, size: tuple[int, int]):
        self.images = sorted((folder / "images").iterdir())
        self.size = size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        path = self.images[index]
        mask = path.parent.parent / "masks" / f"{path.stem}.png"
        height, width = self.size
        top, left = np.random.default_rng().integers(0, 9, 2)
        window = (slice(top, top + height - 8), slice(left, left + width - 8))
        with Image.open(path) as image, Image.open(mask) as label:
            pixels = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
            classes = np.array(label.resize((width, height), Image.Resampling.NEAREST))
        return pixels[window], classes[window]


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
