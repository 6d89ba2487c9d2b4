"""Batches of one shape from a prepared data set, read with grain.

The index of an example in the stream of a whole run decides everything random about the example: its place in
the order, what is pasted into it, its crop and, through the key `index` of its batch, its augmentation on the
device. A run that is resumed at any step, or is spread over other devices or hosts, sees the same examples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import jax
import numpy as np

from train.data.builder import THREADS
from train.data.cache import Batch, ExampleCache, Examples, MaskFunction
from train.data.example import VOID, Size
from train.data.injection import Donors
from train.data.resize import padded, padded_image, resized_image, resized_label

_READ_AHEAD = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=2 * THREADS)
"""Batches read in advance: the 500 of grain's default would be gigabytes of large images."""


def training_batches(
    examples: Examples,
    *,
    size: Size | None,
    crop: Size | None,
    centered: float = 0.0,
    defective: Sequence[bool] | None = None,
    inject: float = 0.0,
    present: Sequence[Sequence[int]] = (),
    batch_size: int,
    passes: int,
    seed: int,
    first_step: int = 0,
    host: int = 0,
    hosts: int = 1,
    masks: Mapping[str, MaskFunction] | None = None,
    memory: int = 0,
) -> Iterator[Batch]:
    """Iterate over this host's slices of the batches of a run, shuffled anew in each pass.

    A pass's last partial batch is dropped.

    Args:
        examples: with labels.
        size: height and width that examples are resized to; None keeps their own.
        crop: height and width of a random window of each example; None takes whole examples, which must then
            be of one size.
        centered: probability that a window is centered on a pixel of a defect, in images that show one.
        defective: whether each example shows a defect: examples with and without one alternate in the
            stream, and there must be at least one of either kind. None shows each example once a pass.
        inject: probability that a defect of one of these examples is pasted into an example.
        present: class ids in the label of each example; where defects are injected, one must show a defect.
        batch_size: images of a step, over all hosts.
        passes: over the examples, in the whole run.
        seed: of order and crops.
        first_step: number of batches to skip, as already seen.
        host: index of this host.
        hosts: number of hosts; divides `batch_size`.
        masks: the functions of the precomputed masks, by the names of their terms.
        memory: bytes for examples that are cached from pass to pass; those that do not fit are decoded each
            time.

    Yields:
        `image` uint8 [batch, h, w, c]; `label` uint8 [batch, h, w]; `masks`, each float32 [batch, h, w];
        `example` int32 [batch], the index in `examples`; `index` int32 [batch], the index in the stream of
        the whole run.
    """
    number_defective = None if defective is None else sum(defective)
    steps = images_per_pass(len(examples), number_defective) // batch_size
    cache = ExampleCache(examples, size, masks or {}, memory)
    donors = Donors(cache, present)

    def prepare(i: int, rng: np.random.Generator) -> Batch:
        example = cache[i]
        if inject and rng.random() < inject:
            example = donors.inject(example, rng)
        return {"example": np.array(i, np.int32), **_crop(example, crop, centered, rng)}

    stream = (
        _order(len(examples), defective, seed)
        .slice(slice(0, steps * batch_size))
        .repeat(passes)
        .random_map(prepare)
        .map_with_index(lambda index, example: {**example, "index": np.array(index, np.int32)})
    )
    local = stream.slice(slice(first_step * batch_size + host, None, hosts))
    return iter(local.batch(batch_size // hosts).to_iter_dataset(_READ_AHEAD))


def evaluation_batches(
    examples: Examples,
    *,
    size: Size | None,
    batch_size: int,
    canvas: Size,
    masks: Mapping[str, MaskFunction] | None = None,
) -> Iterator[Batch]:
    """Iterate over batches of all examples in their order; the last batch is filled up with void examples.

    Args:
        examples: with labels.
        size: height and width that images are resized to; None pads them to the canvas.
        batch_size: images of a batch.
        canvas: height and width that hold the largest image.
        masks: the functions of the precomputed masks, by the names of their terms.

    Yields:
        `image` uint8 [batch, h, w, c]; `label` uint8 [batch, *canvas], each label at its own size in the top
        left corner, void elsewhere; `input_label` uint8 [batch, h, w], the label at the size of `image`, void
        in the padding; `masks`, each float32 [batch, h, w], of `input_label`; `extent` float32 [batch, 2],
        height and width of `image` without padding; `size` float32 [batch, 2], height and width of the label;
        `real` bool [batch], false for added examples.
    """
    masks = masks or {}

    def prepare(example: Mapping[str, Any]) -> Batch:
        image = example["image"]
        shape = image.shape[:2]
        label = example["label"]
        input_label = label if size is None else resized_label(label, size)
        input_canvas = size or canvas
        return {
            "image": padded_image(image, canvas) if size is None else resized_image(image, size),
            "label": padded(label, canvas, VOID),
            "input_label": padded(input_label, input_canvas, VOID),
            "masks": {name: padded(mask(input_label), input_canvas, 0) for name, mask in masks.items()},
            "extent": np.array(shape if size is None else size, np.float32),
            "size": np.array(shape, np.float32),
            "real": np.array(True),
        }

    stream = grain.MapDataset.source(examples).map(prepare).batch(batch_size)
    return (_filled_up(batch, batch_size) for batch in stream.to_iter_dataset(_READ_AHEAD))


def images_per_pass(images: int, defective: int | None) -> int:
    """Return how many images a pass shows before its last partial batch is dropped.

    Args:
        images: number of training images.
        defective: number of them that show a defect, if images with and without one alternate: a pass then
            shows all images of the rarer kind, and as many of the other kind.
    """
    return images if defective is None else 2 * min(defective, images - defective)


def _order(count: int, defective: Sequence[bool] | None, seed: int) -> grain.MapDataset[int]:
    """Return the order of the examples in a pass, shuffled anew in later passes.

    Where defective and clean examples alternate, each pass takes the examples of the more frequent kind from
    where the last pass ended: over the run all of them are seen about equally often.
    """
    if defective is None:
        return grain.MapDataset.source(range(count)).seed(seed).shuffle()
    kinds = [[i for i in range(count) if bool(defective[i]) is kind] for kind in (True, False)]
    # One seed for both would shuffle two kinds of equal number alike and form the same pairs in every pass.
    seeds = np.random.SeedSequence(seed).generate_state(len(kinds)).tolist()
    orders = [grain.MapDataset.source(k).shuffle(seed=s) for k, s in zip(kinds, seeds, strict=True)]
    return grain.MapDataset.mix(orders).seed(seed)


def _filled_up(batch: Batch, size: int) -> Batch:
    """Repeat the last example of a batch, as void, up to `size` examples."""
    missing = size - len(batch["real"])
    filled = jax.tree.map(lambda x: np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]), batch)
    if missing:
        for key in ("label", "input_label"):
            filled[key][-missing:] = VOID
        filled["real"][-missing:] = False
    return filled


def _crop(example: Batch, crop: Size | None, centered: float, rng: np.random.Generator) -> Batch:
    """Return a random window of an example, padded with void where the image is smaller than the window.

    With the probability `centered` the window is centered on a pixel of a defect, or as nearly as the edge of
    the image allows; in an image without defects any window is as probable as another.
    """
    if crop is None:
        return example
    image, label = padded_image(example["image"], crop), padded(example["label"], crop, VOID)
    masks = {name: padded(mask, crop, 0) for name, mask in example["masks"].items()}
    limits = [length - side for length, side in zip(label.shape, crop, strict=True)]
    pixel = _defect_pixel(label, rng) if centered and rng.random() < centered else None
    if pixel is None:
        top, left = (rng.integers(0, limit + 1) for limit in limits)
    else:
        top, left = (
            min(max(0, center - side // 2), limit)
            for center, side, limit in zip(pixel, crop, limits, strict=True)
        )
    window = (slice(top, top + crop[0]), slice(left, left + crop[1]))
    masks = {name: mask[window] for name, mask in masks.items()}
    return {"image": image[window], "label": label[window], "masks": masks}


def _defect_pixel(label: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """Return row and column of a random pixel of a defect, or None where there is none.

    A class is drawn first, then one of its pixels: otherwise large defects would be drawn nearly always.
    """
    counts = np.bincount(label.ravel(), minlength=VOID)  # many times as fast as np.unique
    classes = np.flatnonzero(counts[1:VOID]) + 1
    if not classes.size:
        return None
    pixels = np.flatnonzero(label == rng.choice(classes))
    row, column = divmod(int(rng.choice(pixels)), label.shape[1])
    return row, column
