"""Throughput of the input pipeline against PyTorch's DataLoader: decoding, resizing, cropping, batching.

    python -m tests.benchmarks.input [--seconds 10]

Both read the same synthetic photographs (JPEG) and label images (PNG). The pipeline reads a prepared set with
one thread per core: once decoding every image in every pass, and once, as `fit` does, caching decoded images.
The DataLoader reads the files with Pillow, with one worker process per core, and decodes in every pass. Rates
are medians of interleaved rounds. Then the time to the first batch in a new process, and the peak memory of
that process after each of three passes. Needs PyTorch. Run this alone on an idle machine.
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
"""Height and width of the photographs, which are resized to half of both."""


@dataclass(frozen=True)
class Benchmark:
    """Measure the throughput of the input pipeline."""

    seconds: float = 5.0
    """Duration of each measurement."""
    rounds: int = 5
    """Measurements of each reader."""
    images: int = 1024
    """Photographs of each size; 1 in 16 is generated, the others are hard links."""
    batch: int = 16
    """Images of a batch."""


def main(benchmark: Benchmark) -> None:
    readers = ("decoding each time", "cached", "DataLoader")
    print(
        f"| photographs | {' | '.join(readers)} | ratios to DataLoader | first batch | memory after passes |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            rates, start, memory = measure(Path(folder), size, benchmark)
        figures = [f"{statistics.median(rate):.0f}/s" for rate in rates.values()]
        *pipeline, loader = rates.values()
        ratios = [statistics.median(a / b for a, b in zip(x, loader, strict=True)) for x in pipeline]
        passes = ", ".join(f"{x / 2**20:.0f}" for x in memory)
        print(
            f"| {name} | {' | '.join(figures)} | {', '.join(f'{x:.2f}' for x in ratios)} | {start:.1f} s | "
            f"{passes} MiB |",
            flush=True,
        )


def measure(
    folder: Path, size: tuple[int, int], benchmark: Benchmark
) -> tuple[dict[str, list[float]], float, list[int]]:
    """Return images per second by reader and round, seconds to the first batch, and bytes after each pass."""
    write_photographs(folder, size, benchmark.images)
    resized = (size[0] // 2, size[1] // 2)
    data = Folder(images=str(folder / "images"), masks=str(folder / "masks"), validation=0.02, test=0.02)
    part = prepare(data, data_dir=folder / "prepared").parts["train"]
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        start, memory = fresh.apply(three_passes, (data, folder / "prepared", resized, benchmark.batch))
    cached = pipeline_batches(part, resized, benchmark.batch, memory=2**32)
    for _ in range(len(part) // benchmark.batch):  # the first pass decodes
        next(cached)
    readers = {
        "decoding": lambda: pipeline_batches(part, resized, benchmark.batch, memory=0),
        "cached": lambda: cached,
        "DataLoader": lambda: loader_batches(folder, resized, benchmark.batch),
    }
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(benchmark.rounds):
        for name, read in readers.items():
            rates[name].append(rate(read(), benchmark))
            gc.collect()  # ends the threads or processes of a reader that would prefetch during the next turn
    return rates, start, memory


def three_passes(data: Folder, data_dir: Path, size: tuple[int, int], batch: int) -> tuple[float, list[int]]:
    """Return seconds from a prepared set to its first batch, and the peak resident set after each pass."""
    begin = time.perf_counter()
    part = prepare(data, data_dir=data_dir).parts["train"]
    batches = pipeline_batches(part, size, batch, memory=2**32)
    next(batches)
    start = time.perf_counter() - begin
    memory = []
    for _ in range(3):
        for _ in range(len(part) // batch):
            next(batches)
        memory.append(largest_resident())
    return start, memory


def rate(batches: Iterator[Any], benchmark: Benchmark) -> float:
    """Return images per second, from the second batch on."""
    next(batches)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < benchmark.seconds:
        next(batches)
        count += benchmark.batch
    return count / (time.perf_counter() - begin)


def write_photographs(folder: Path, size: tuple[int, int], images: int) -> None:
    """Write noise on a brightness gradient, half of the images with a square defect."""
    rng = np.random.default_rng(0)
    generated = images // 16
    for k in range(generated):
        light = np.linspace(60, 190, size[1]) + rng.normal(0, 12, size)
        label = np.zeros(size, np.uint8)
        label[20:60, 30:80] = k % 2
        for kind, pixels, ending in (("images", light, "jpg"), ("masks", label, "png")):
            path = folder / kind / f"{k}.{ending}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            for copy in range(k + generated, images, generated):
                path.with_stem(f"{copy}").hardlink_to(path)


def pipeline_batches(part: Part, size: tuple[int, int], batch: int, memory: int) -> Iterator[Any]:
    """Iterate without end over batches as `fit` reads them."""
    crop = (size[0] - 8, size[1] - 8)
    return training_batches(part, size=size, crop=crop, batch_size=batch, passes=10**6, seed=0, memory=memory)


def loader_batches(folder: Path, size: tuple[int, int], batch: int) -> Iterator[Any]:
    """Iterate without end over batches of a DataLoader."""
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
    """Files decoded and resized by Pillow, cropped at random."""

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
