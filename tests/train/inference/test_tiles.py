"""Images of any size through a network in tiles: what comes out is what the whole image gives."""

import dataclasses
import functools
import itertools
import tracemalloc

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax.models import UNet
from tests.tiny import config as tiny
from train.config import Input
from train.data.facts import DataFacts
from train.errors import UserError
from train.inference.tiles import _STRIDE, FLIPS, Predictor, Tiling, _spans, cut
from train.training.experiment import Experiment
from train.training.state import State

FACTS = DataFacts(("background", "scratch", "pit"), 1, 16, 8, "abc")
FIELD = 24
"""More than the pixels that the small U-Net sees to either side: two convolutions at each of the strides
1, 2, 4, 2 and 1, and 3 pixels more by its poolings."""


class Pointwise(nn.Module):
    """Knows nothing but the pixel."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, images, *, train):
        return jnp.concatenate([images * k for k in range(self.num_classes)], -1)


class Place(nn.Module):
    """Knows nothing but the place in what it is shown, and the pixel."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, images, *, train):
        height, width = images.shape[1:3]
        place = np.arange(height)[:, None] / height - (np.arange(width) / width) ** 2
        place = jnp.broadcast_to(place.astype(np.float32), images.shape[:3])
        return jnp.stack([images[..., 0], place, images[..., 0] * place], -1)


class Witness(nn.Module):
    """Writes down what it is shown."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, images, *, train):
        SHOWN.append(images.shape)
        return jnp.concatenate([images * k for k in range(self.num_classes)], -1)


SHOWN: list[tuple[int, ...]] = []


class Steps(nn.Module):
    """Finds defects where the brightness changes from one row or column to the next."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, images, *, train):
        by_row, by_column = (jnp.abs(images - jnp.roll(images, -1, axis)) for axis in (1, 2))
        return jnp.concatenate([jnp.zeros_like(images), by_row, by_column], -1)


def experiment(model, **fields):
    return Experiment(dataclasses.replace(tiny, model=model, **fields), FACTS)


@functools.cache
def small_unet(size=None):
    """With a state whose norms have seen something."""
    made = experiment(UNet(width=4, depth=2), input=Input(size=size))
    start = jax.device_get(made.random_state())
    rng = np.random.default_rng(0)
    collections = jax.tree.map(lambda x: rng.uniform(0.1, 0.5, x.shape).astype(np.float32), start.collections)
    return made, dataclasses.replace(start, collections=collections)


NOTHING = State(jnp.int32(0), jnp.int32(0), {}, {}, ())


def image(*size):
    return np.random.default_rng(0).integers(0, 256, (*size, 1), np.uint8)


def probabilities(made, pixels, tiling, start=NOTHING, flips=FLIPS[:1], canvas=None):
    predictor = Predictor(made, canvas or pixels.shape[:2], tiling, flips)
    ((example, result),) = predictor(start, [{"image": pixels}])
    assert example["image"] is pixels
    assert (result.dtype, result.shape) == (np.float32, (*pixels.shape[:2], 3))
    return result


@pytest.mark.parametrize("overlap", [0, 1, 32, 50])
@pytest.mark.parametrize("tile", [96, 100, 160])
def test_tiles_cover_a_side_and_count_one_in_all(tile, overlap):
    for side in (1, 95, 96, 97, 128, 129, 300, 1000):
        spans, weights = zip(*_spans(side, tile, overlap), strict=True)
        assert (spans[0].start, spans[-1].stop) == (0, side)
        assert all(span.start % _STRIDE == 0 and span.stop - span.start <= tile for span in spans)
        assert len(spans) == 1 or side > tile
        assert all(a.stop - b.start >= overlap for a, b in itertools.pairwise(spans))
        total, often = np.zeros(side), np.zeros(side)
        for span, weight in zip(spans, weights, strict=True):
            assert weight.min() > 0
            total[span] += weight
            often[span] += 1
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)
        for span, weight in zip(spans, weights, strict=True):
            assert (weight[often[span] == 1] == 1).all()


def test_a_tile_counts_little_at_its_inner_borders_and_fully_at_those_of_the_image():
    (first, rising), (last, falling) = _spans(160, 96, 32)
    assert (first.start, first.stop, last.start, last.stop) == (0, 96, 64, 160)
    expected = np.arange(1, 33) / 33
    np.testing.assert_allclose(rising, [*np.ones(64), *expected[::-1]], rtol=1e-6)
    np.testing.assert_allclose(falling, [*expected, *np.ones(64)], rtol=1e-6)


@pytest.mark.parametrize("size", [(40, 30), (170, 130)])
def test_the_end_of_an_image_is_no_defect(size):
    pixels = np.full((*size, 1), 200, np.uint8)
    result = probabilities(experiment(Steps()), pixels, Tiling((96, 64), 20), flips=FLIPS, canvas=(180, 180))
    np.testing.assert_allclose(result, 1 / 3, rtol=1e-6)


def test_where_tiles_overlap_their_weighted_mean_is_taken():
    """A second formula: at each pixel every tile by the product of its distances to inner borders."""
    pixels, tile, overlap = image(170, 130), (96, 64), 20
    result = probabilities(experiment(Place()), pixels, Tiling(tile, overlap))
    padded = np.zeros((320, 320, 1), np.uint8)
    padded[:170, :130] = pixels
    total, weights = np.zeros((170, 130, 3)), np.zeros((170, 130, 1))
    for top, left in itertools.product((0, 64, 96), (0, 32, 64, 96)):
        shown = padded[top : top + tile[0], left : left + tile[1]]
        logits = np.asarray(Place().apply({}, (shown[None] / 255 - 0.5) / 0.25, train=False), np.float64)[0]
        softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        for y, x in itertools.product(range(tile[0]), range(tile[1])):
            if top + y >= 170 or left + x >= 130:
                continue
            distances = [1.0]
            distances += [(y + 1) / (overlap + 1)] if top else []
            distances += [(tile[0] - y) / (overlap + 1)] if top + tile[0] < 170 else []
            weight = min(distances)
            distances = [1.0]
            distances += [(x + 1) / (overlap + 1)] if left else []
            distances += [(tile[1] - x) / (overlap + 1)] if left + tile[1] < 130 else []
            weight *= min(distances)
            total[top + y, left + x] += weight * softmax[y, x]
            weights[top + y, left + x] += weight
    np.testing.assert_allclose(result, total / weights, rtol=0, atol=1e-5)
    # The four tiles that meet disagree, so it matters how they are blended.
    alone = probabilities(experiment(Place()), pixels, Tiling((192, 160), 0))
    assert np.abs(result - alone).max() > 0.05


@pytest.mark.parametrize("size", [(224, 160), (201, 150), (90, 300)])
def test_away_from_the_borders_of_tiles_nothing_differs_from_the_whole_image(size):
    made, start = small_unet()
    pixels, tiling = image(*size), Tiling((96, 96), 32)
    result = probabilities(made, pixels, tiling, start)
    whole = probabilities(made, pixels, Tiling((320, 320), 0), start)
    far = np.ones(size, bool)
    for axis, side in enumerate(size):
        inner = np.ones(side, bool)
        for span, _ in _spans(side, 96, 32):
            place = np.arange(span.start, span.stop)
            if span.start > 0:
                inner[place[place < span.start + FIELD]] = False
            # The last tile ends beyond the image if its side is no multiple of the stride.
            if span.stop < side or (side > 96 and side % _STRIDE):
                inner[place[place >= span.stop - FIELD]] = False
        far &= np.expand_dims(inner, 1 - axis)
    assert far.mean() > 0.2
    np.testing.assert_allclose(result[far], whole[far], rtol=0, atol=2e-5)
    assert np.abs(result - whole).max() > 1e-3


def test_an_image_that_the_network_sees_resized_is_resized_back_tile_by_tile():
    (made, start), pixels = small_unet((48, 40)), image(200, 130)
    result = probabilities(made, pixels, Tiling((64, 96), 32), start)
    whole = probabilities(made, pixels, Tiling((256, 256), 0), start)
    # Rounding of places up to 200, where scores change by many units from one to the next.
    np.testing.assert_allclose(result, whole, rtol=0, atol=1e-3)
    np.testing.assert_allclose(result.sum(-1), 1, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [None, (64, 64)])
def test_images_of_all_sizes_are_seen_in_one_shape(size):
    SHOWN.clear()
    made = experiment(Witness(), input=Input(size=size))
    sizes = [(300, 70), (64, 64), (1, 1), (65, 40), (33, 200)]
    pixels = [image(*s) for s in sizes]
    predictor = Predictor(made, (300, 200), Tiling((64, 64), 16))
    result = [p for _, p in predictor(NOTHING, [{"image": x} for x in pixels])]
    assert len(SHOWN) == 1
    assert SHOWN[0][1:] == (64, 64, 1)
    if size is None:
        for x, p in zip(pixels, result, strict=True):
            scores = (x / np.float32(255) - 0.5) / 0.25 * np.arange(3)
            np.testing.assert_allclose(p, jax.nn.softmax(scores), rtol=0, atol=1e-6)


def test_the_host_holds_the_probabilities_of_one_image():
    images = [image(1024, 1024) for _ in range(3)]
    one = 1024 * 1024 * 3 * 4
    predictor = Predictor(experiment(Pointwise()), (1024, 1024), Tiling((64, 64), 0))
    for _, result in predictor(NOTHING, [{"image": images[0]}]):  # compiles
        del result
    tracemalloc.start()
    try:
        for _, result in predictor(NOTHING, ({"image": x} for x in images)):
            del result
        assert one < tracemalloc.get_traced_memory()[1] < 1.5 * one
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [None, (48, 40)])
def test_flips_change_nothing_where_the_network_does_not_know_the_side(size):
    made = experiment(Pointwise(), input=Input(size=size))
    pixels, tiling = image(70, 101), Tiling((64, 64), 16)
    plain, four = (probabilities(made, pixels, tiling, flips=flips) for flips in (FLIPS[:1], FLIPS))
    np.testing.assert_allclose(four, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [None, (48, 40)])
def test_flips_take_the_mean_of_the_four(size):
    made = experiment(Place(), input=Input(size=size))
    pixels, tiling = image(50, 61), Tiling()
    four = probabilities(made, pixels, tiling, flips=FLIPS)
    each = [
        probabilities(made, np.ascontiguousarray(pixels[flip]), tiling)[flip]
        for flip in (np.s_[:, :], np.s_[::-1, :], np.s_[:, ::-1], np.s_[::-1, ::-1])
    ]
    np.testing.assert_allclose(four, np.mean(each, 0), rtol=0, atol=1e-5)
    assert np.abs(four - each[0]).max() > 0.05


def test_the_tiles_of_an_image_are_products_of_those_of_its_sides():
    parts = list(cut((100, 150, 1), Tiling((64, 96), 16)))
    assert [(p.box[0].start, p.box[1].start) for p in parts] == [
        (0, 0),
        (0, 64),
        (32, 0),
        (32, 64),
        (64, 0),
        (64, 64),
    ]


@pytest.mark.parametrize(
    ("tile", "overlap", "message"),
    [
        ((64, 64), 64, r"tile: is 64 64, takes at least 96 a side.*--tile or a smaller --overlap"),
        ((64, 0), 0, "tile: is 64 0, takes at least 32 a side"),
        ((-1, 64), 0, "tile: is -1 64"),
        ((64, 64), -1, "overlap: is -1, takes at least 0"),
    ],
)
def test_tiles_that_cannot_be_are_refused(tile, overlap, message):
    with pytest.raises(UserError, match=message):
        Tiling(tile, overlap)
