"""From a prepared data set to batches of one shape, read with grain.

The position of an example in the stream of a whole run decides everything random about it (its place in the
order, its crop, and through `index` its changes on the device), so a run that is taken up again at any step,
or is spread over other devices or hosts, sees the same examples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from train.data.builder import THREADS
from train.data.cache import Batch, Examples, Mask, Views
from train.data.example import VOID
from train.data.resize import Size, padded, resized_image, resized_label

READ_AHEAD = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=2 * THREADS)
"""In batches: grain would keep 500 of them, gigabytes of large images."""


def training_batches(
    examples: Examples,
    *,
    size: Size | None,
    crop: Size | None,
    centered: float = 0.0,
    defective: Sequence[bool] | None = None,
    batch_size: int,
    passes: int,
    seed: int,
    first_step: int = 0,
    host: int = 0,
    hosts: int = 1,
    masks: Mapping[str, Mask] | None = None,
    memory: int = 0,
) -> Iterator[Batch]:
    """This host's share of the batches of a run, in a new order each pass, from `first_step` to the end.

    A pass's last partial batch is dropped.

    Args:
        examples: with labels.
        size: height and width every example is resized to; None leaves them as they are.
        crop: height and width of a random window of each; None keeps all of it, and all must be of one size.
        centered: chance that a window lies around a pixel of a defect, in images that show one.
        defective: which examples show a defect; those and the others take turns in the stream. Without it
            each example is seen once a pass. At least one of either kind.
        batch_size: images of a step, over all hosts.
        passes: over the examples, in the whole run.
        seed: of order and crops.
        first_step: batches already seen.
        host: this host's number.
        hosts: how many share the work; divides `batch_size`.
        masks: functions that make a stored mask of a label, by the names of their terms.
        memory: bytes of memory for images that are kept from pass to pass; those that do not fit are decoded
            each time.

    Yields:
        `image` uint8 [batch, h, w, c], `label` uint8 [batch, h, w], `masks`, each float16 [batch, h, w],
        `example` int32 [batch], its position in `examples`, and `index` int32 [batch], its position in the
        stream of the whole run.
    """
    showing = None if defective is None else sum(defective)
    steps = images_per_pass(len(examples), showing) // batch_size
    views = Views(examples, size, masks or {}, memory)
    stream = (
        _order(len(examples), defective, seed)
        .slice(slice(0, steps * batch_size))
        .repeat(passes)
        .random_map(lambda i, rng: {"example": np.array(i, np.int32), **_crop(views[i], crop, centered, rng)})
        .map_with_index(lambda index, example: {**example, "index": np.array(index, np.int32)})
    )
    mine = stream.slice(slice(first_step * batch_size + host, None, hosts))
    return iter(mine.batch(batch_size // hosts).to_iter_dataset(READ_AHEAD))


def evaluation_batches(
    examples: Examples, *, size: Size | None, batch_size: int, canvas: Size
) -> Iterator[Batch]:
    """All examples in their order; the last batch is filled up with void ones.

    Args:
        examples: `label` may be missing (then it is void).
        size: height and width every image is resized to; None pads them to the canvas.
        batch_size: images of a batch.
        canvas: height and width that hold the largest image.

    Yields:
        `image` uint8 [batch, h, w, c]; `label` uint8 [batch, *canvas], each label at its own size in
        the top left corner and void elsewhere; `input_label` uint8 [batch, h, w], the label at the size of
        `image`, void where that is filled up; `extent` float32 [batch, 2], height and width of the part of
        `image` that is not; `size` float32 [batch, 2], height and width of the label itself; `real` bool
        [batch], false for the filling.
    """

    def prepare(example: Mapping[str, Any]) -> Batch:
        height, width = example["image"].shape[:2]
        image = example["image"]
        image = padded(image, canvas, 0) if size is None else resized_image(image, size)
        label = example.get("label", np.full((height, width), VOID, np.uint8))
        return {
            "image": image,
            "label": padded(label, canvas, VOID),
            "input_label": padded(label, canvas, VOID) if size is None else resized_label(label, size),
            "extent": np.array((height, width) if size is None else size, np.float32),
            "size": np.array((height, width), np.float32),
            "real": np.array(True),
        }

    stream = grain.MapDataset.source(examples).map(prepare).batch(batch_size)
    return (_fill(batch, batch_size) for batch in stream.to_iter_dataset(READ_AHEAD))


def images_per_pass(images: int, defective: int | None) -> int:
    """How many images a pass shows before its last partial batch is dropped.

    Args:
        images: of the training part.
        defective: how many of them show a defect, if those and the others take turns: a pass then shows
            all of the kind that has fewer, and as many of the other.
    """
    return images if defective is None else 2 * min(defective, images - defective)


def _order(count: int, defective: Sequence[bool] | None, seed: int) -> grain.MapDataset[int]:
    """Which example stands at each place of a pass; later passes are shuffled anew.

    Where two kinds take turns, the one that has more goes on in a pass where the last one has ended: over
    the run all of its examples are seen about equally often.
    """
    if defective is None:
        return grain.MapDataset.source(range(count)).seed(seed).shuffle()
    kinds = [[i for i in range(count) if bool(defective[i]) is wanted] for wanted in (True, False)]
    # A seed each: two kinds of equal number would be shuffled alike and meet in the same pairs for ever.
    seeds = np.random.SeedSequence(seed).generate_state(len(kinds)).tolist()
    orders = [grain.MapDataset.source(kind).shuffle(seed=own) for kind, own in zip(kinds, seeds, strict=True)]
    return grain.MapDataset.mix(orders).seed(seed)


def _fill(batch: Batch, size: int) -> Batch:
    """Repeats the last example, as void, up to a whole batch."""
    missing = size - len(batch["real"])
    filled = {key: np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) for key, x in batch.items()}
    if missing:
        for key in ("label", "input_label"):
            filled[key][-missing:] = VOID
        filled["real"][-missing:] = False
    return filled


def _crop(example: Batch, crop: Size | None, centered: float, rng: np.random.Generator) -> Batch:
    """A random window; where the image is smaller than the window, the rest is void.

    With the chance `centered` the window has a pixel of a defect in its middle, or as near to it as the
    image's edge allows; an image without defects gives any window.
    """
    if crop is None:
        return example
    image, label = padded(example["image"], crop, 0), padded(example["label"], crop, VOID)
    masks = {name: padded(mask, crop, 0) for name, mask in example["masks"].items()}
    margins = [have - want for have, want in zip(label.shape, crop, strict=True)]
    pixel = _defect_pixel(label, rng) if centered and rng.random() < centered else None
    if pixel is None:
        top, left = (rng.integers(0, margin + 1) for margin in margins)
    else:
        top, left = (
            min(max(0, at - side // 2), margin) for at, side, margin in zip(pixel, crop, margins, strict=True)
        )
    window = (slice(top, top + crop[0]), slice(left, left + crop[1]))
    masks = {name: mask[window] for name, mask in masks.items()}
    return {"image": image[window], "label": label[window], "masks": masks}


def _defect_pixel(label: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """Row and column of a pixel of a defect, None where there is none.

    First a class is drawn among those in the label, then one of its pixels: rare classes are not drowned by
    large ones.
    """
    counts = np.bincount(label.ravel(), minlength=VOID)  # many times as fast as np.unique
    classes = np.flatnonzero(counts[1:VOID]) + 1
    if not classes.size:
        return None
    pixels = np.flatnonzero(label == rng.choice(classes))
    row, column = divmod(int(rng.choice(pixels)), label.shape[1])
    return row, column
