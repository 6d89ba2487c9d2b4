"""Masks against loops that spell the equations out."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from balanced_jax import masks
from balanced_jax.masks import (
    balance_mask,
    boundary_mask,
    class_weight_mask,
    confusion_mask,
    inverse_weight_mask,
    valid_mask,
)
from balanced_jax.masks._packed import packed, per_word, window_sums
from balanced_jax.masks.confusion import count_by_convolution
from tests.balanced_jax import formulas
from tests.balanced_jax.tolerance import assert_close

MASKS = [getattr(masks, name) for name in masks.__all__ if name != "inverse_weight_mask"]  # host: see below
every_mask = pytest.mark.parametrize("mask", MASKS, ids=lambda mask: mask.__name__)


def blobs(num_classes, shape=(2, 11, 14), seed=0):
    """Labels in patches, some of them void, on either side of the classes."""
    rng = np.random.default_rng(seed)
    *batch, height, width = shape
    coarse = rng.integers(0, num_classes, (*batch, -(-height // 4), -(-width // 4)))
    labels = coarse.repeat(4, axis=-2).repeat(4, axis=-1)[..., :height, :width]
    return np.where(rng.random(shape) < 0.1, rng.choice([-1, 255], shape), labels)


def count_in_words(labels, num_classes, window):
    """The counters of all words, read out."""
    bits = (window * window).bit_length()
    counts = []
    for first in range(0, num_classes, per_word(window)):
        words = np.asarray(window_sums(packed(labels, first, num_classes, window), window), np.int64)
        counters = range(min(per_word(window), num_classes - first))
        counts += [words >> (bits * k) & (2**bits - 1) for k in counters]
    return np.stack(counts, axis=-1)


def by_image(formula, labels, *args, **options):
    return np.stack([formula(image, *args, **options) for image in labels])


# All masks


@every_mask
@pytest.mark.parametrize("num_classes", [3, 12])  # on a CPU, confusion is counted in one word or in several
def test_leading_axes_jit_and_vmap_change_nothing(mask, num_classes):
    labels = blobs(num_classes)
    jitted = jax.jit(lambda y: mask(y, num_classes))
    whole = mask(labels, num_classes)
    for other in (
        jitted(labels),
        jax.jit(jax.vmap(jitted))(labels),
        jnp.stack([jitted(y) for y in labels]),
        jitted(labels[None])[0],
    ):
        assert other.dtype == whole.dtype
        assert_close(other, whole)


@every_mask
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint32, np.int64])
def test_labels_of_any_integer_type_are_the_same(mask, dtype):
    labels = np.where(np.isin(blobs(3), range(3)), blobs(3), 100)
    np.testing.assert_array_equal(mask(labels.astype(dtype), 3), mask(blobs(3).astype(np.int32), 3))


@every_mask
def test_more_classes_than_a_byte_can_name_are_told_apart(mask):
    labels = np.array([[0, 255], [1, 255]], np.uint8)
    jitted = jax.jit(mask, static_argnums=1)
    np.testing.assert_array_equal(jitted(labels, 258), jitted(labels.astype(np.int32), 258))


@every_mask
def test_void_pixels_are_as_if_cut_off(mask):
    labels = blobs(3)
    void = np.where(np.arange(14) >= 9, -7, labels)
    assert_close(mask(void, 3)[..., :9], jax.jit(mask, static_argnums=1)(labels[..., :9], 3))
    assert (mask(void, 3)[..., 9:] == 0).all()
    assert (mask(np.full_like(labels, 255), 3) == 0).all()


@every_mask
def test_every_platform_can_make_it(mask):
    make = jax.jit(functools.partial(mask, num_classes=3))
    assert jax.export.export(make, platforms=("cpu", "cuda", "tpu"))(blobs(3).astype(np.int32))


@every_mask
def test_masks_are_float32_in_double_precision_too(mask):
    with jax.enable_x64(True):
        assert jax.eval_shape(lambda: mask(blobs(3), 3)).dtype in (jnp.float32, bool)


# Valid pixels and boundaries


def test_a_pixel_is_valid_where_its_label_is_a_class():
    labels = np.array([[-1, 0, 1, 2, 3, 255]])
    np.testing.assert_array_equal(valid_mask(labels, 3), [[False, True, True, True, False, False]])


@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_boundary_pixel_has_a_neighbour_of_another_class(num_classes):
    labels = blobs(num_classes)
    np.testing.assert_array_equal(
        boundary_mask(labels, num_classes), by_image(formulas.boundary_mask, labels, num_classes)
    )


# Class weights


@pytest.mark.parametrize("num_classes", [1, 2, 5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta": 0},
        {"beta": 0.9},
        {"beta": 0.999},
        {"beta": 0.99999},
        {"relative": False},
        {"relative": False, "beta": 0.99999},
        {"counting": "pixels"},
        {"counting": "pixels", "relative": False, "beta": 0.9},
        {"counting": "pixels", "floor": 30},
        {"floor": 0},
        {"floor": 25.0},
        {"power": 0.5},
        {"power": 0},
    ],
    ids=str,
)
def test_class_weights_are_those_of_equation_2(num_classes, options):
    labels = blobs(num_classes)
    labels[0, 0, 0] = 0  # and one class may be absent, another a single pixel
    actual = class_weight_mask(labels, num_classes, **options)
    assert actual.dtype == jnp.float32
    assert_close(actual, by_image(formulas.class_weight_mask, labels, num_classes, **options))


@pytest.mark.parametrize(
    ("beta", "weights"),
    [
        (0.9, [10.0, 3.7, 1.5, 1.2, 1.0]),
        (0.99, [63.4, 21.3, 6.6, 4.0, 1.6]),
        (0.999, [95.2, 31.8, 9.6, 5.6, 2.0]),
    ],
)
def test_the_papers_remarks_on_weights_hold_in_percent(beta, weights):
    for percent, weight in zip([1, 3, 10, 17, 50], weights, strict=True):
        labels = np.zeros((100, 100), np.uint8)
        labels[:percent] = 1
        assert class_weight_mask(labels, 2, beta=beta)[0, 0] == pytest.approx(weight, abs=0.06)


@pytest.mark.parametrize("counting", ["percent", "pixels"])
def test_a_clean_image_weighs_exactly_1(counting):
    labels = np.zeros((7, 9), np.uint8)
    labels[3, 3] = 255
    weights = class_weight_mask(labels, 4, counting=counting)
    np.testing.assert_array_equal(weights, (labels == 0).astype(np.float32))


def test_beta_0_weighs_all_pixels_alike():
    labels = blobs(3)
    for floor in (0, 1):
        weights = class_weight_mask(labels, 3, beta=0, floor=floor)
        np.testing.assert_array_equal(weights, valid_mask(labels, 3).astype(np.float32))


def test_a_single_pixel_of_a_large_image_weighs_as_the_floor_says():
    labels = jnp.zeros((512, 512), jnp.uint8).at[5, 5].set(1)
    for floor in (0, 0.1, 1):
        covered = max(100 / 512**2, floor)
        weight = (1 - 0.99**100) / (1 - 0.99**covered)
        assert class_weight_mask(labels, 2, floor=floor)[5, 5] == pytest.approx(weight, rel=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
def test_numbers_of_the_class_weights_may_be_traced(beta):
    labels = blobs(3)
    traces = []

    @jax.jit
    def mask(beta, floor, power):
        traces.append(beta)
        return class_weight_mask(labels, 3, beta=beta, floor=floor, power=power)

    mask(0.5, 3.0, 2.0)
    assert_close(mask(beta, 0.0, 0.5), class_weight_mask(labels, 3, beta=beta, floor=0, power=0.5))
    assert len(traces) == 1
    slopes = jax.grad(lambda *numbers: mask(*numbers).sum(), argnums=(0, 1, 2))(beta, 0.0, 0.5)
    assert slopes == (0, 0, 0)


def test_weights_that_relax_go_from_the_papers_to_none():
    labels = blobs(3)
    full = class_weight_mask(labels, 3)
    half = class_weight_mask(labels, 3, power=0.5)
    assert_close(half, np.sqrt(full))
    np.testing.assert_array_equal(class_weight_mask(labels, 3, power=0.0) > 0, valid_mask(labels, 3))


# Confusion

METHODS: list[Literal["conv", "packed"]] = ["conv", "packed"]


@pytest.mark.parametrize("window", [3, 5, 7, 9, 15])
@pytest.mark.parametrize("num_classes", [2, 5, 12])
@pytest.mark.parametrize("shape", [(1, 11, 17), (2, 3, 4)])
def test_both_ways_of_counting_give_the_count(window, num_classes, shape):
    labels = jnp.asarray(blobs(num_classes, shape, seed=window))
    wanted = by_image(formulas.counts, np.asarray(labels), num_classes, window)
    for count in (count_by_convolution, count_in_words):
        counts = count(labels, num_classes, window)
        assert jnp.issubdtype(counts.dtype, jnp.integer)
        np.testing.assert_array_equal(counts, wanted)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    labels=arrays(np.int16, (9, 8), elements=st.sampled_from([*range(-2, 9), 255, 300])),
    num_classes=st.sampled_from([2, 8]),
    window=st.sampled_from([3, 7]),
)
def test_any_labels_are_counted_alike(labels, num_classes, window):
    labels = jnp.asarray(labels, jnp.int32)
    convolved = count_by_convolution(labels, num_classes, window)
    np.testing.assert_array_equal(convolved, count_in_words(labels, num_classes, window))
    convolved, looked_up = (confusion_mask(labels, num_classes, window=window, method=m) for m in METHODS)
    assert_close(convolved, looked_up)


@pytest.mark.parametrize("window", [255, 257])  # the last that two counters of a word can hold, and one more
def test_large_windows_are_counted_in_full(window):
    labels = jnp.zeros((300, 300), jnp.int32).at[:, 200:].set(1)
    ones = (151 + window // 2 - 200) * window
    np.testing.assert_array_equal(count_in_words(labels, 2, window)[150, 150], [window**2 - ones, ones])
    shares = np.array([window**2 - ones, ones]) / window**2
    mask = confusion_mask(labels, 2, window=window, method="packed")
    assert_close(mask[150, 150], 1 + (shares * np.log2(shares)).sum())


@pytest.mark.parametrize("num_classes", [2, 3, 6])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": 3},
        {"window": 15},
        {"minimum": 0.4},
        {"minimum": 1},
        {"window": 3, "preserve_class_mass": True},
        {"window": 5, "minimum": 0.2, "preserve_class_mass": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", [*METHODS, None])
def test_the_confusion_mask_is_that_of_equations_8_to_10(num_classes, options, method):
    labels = blobs(num_classes)
    actual = confusion_mask(labels, num_classes, method=method, **options)
    assert actual.dtype == jnp.float32
    assert_close(actual, by_image(formulas.confusion_mask, labels, num_classes, **options))
    if "preserve_class_mass" not in options:
        assert ((actual >= 0) & (actual <= 1)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_classes", [2, 5, 12])
@pytest.mark.parametrize("window", [3, 7, 15])
def test_windows_of_little_but_void_lose_nothing_to_rounding(num_classes, window, method):
    labels = blobs(num_classes, (2, 40, 41))
    labels = np.where(np.random.default_rng(1).random(labels.shape) < 0.95, 255, labels)
    wanted = by_image(formulas.confusion_mask, labels, num_classes, window=window)
    assert_close(confusion_mask(labels, num_classes, window=window, method=method), wanted)


def test_no_image_has_no_mask():
    for num_classes in (2, 12):
        assert confusion_mask(np.zeros((0, 6, 5), int), num_classes).shape == (0, 6, 5)


@pytest.mark.parametrize("num_classes", [2, 3, 5, 12])
def test_a_window_of_one_class_weighs_1_also_at_the_border_and_beside_void(num_classes):
    labels = np.zeros((1, 11, 14), np.uint8)
    labels[0, 4:6, 7] = 255
    mask = confusion_mask(labels, num_classes)
    assert_close(
        mask, valid_mask(labels, num_classes), unit=2e-7
    )  # one rounding of the share, one of the sum


def test_the_printed_equation_9_takes_the_border_for_a_mixture_and_is_ours_inside():
    labels = blobs(2, (16, 16))
    labels[labels == 255] = 1
    labels[labels == -1] = 0
    ours = confusion_mask(labels, 2)
    printed = formulas.confusion_mask(labels, 2, divide_by_area=True)
    assert_close(ours[3:-3, 3:-3], printed[3:-3, 3:-3])
    clean = formulas.confusion_mask(np.zeros((16, 16), int), 2, divide_by_area=True)
    assert clean[0, 0] == pytest.approx(0.47, abs=0.005)
    assert clean[0, 8] == pytest.approx(0.54, abs=0.005)
    assert clean[8, 8] == 1


THICKNESSES = [1, 2, 3, 4, 5, 7, 9, 12, 16, 24]
WEIGHTS_OF_LINES = {
    3: [0.08, 0.08, 0.39, 0.54, 0.63, 0.74, 0.80, 0.85, 0.89, 0.92],
    5: [0.28, 0.03, 0.03, 0.15, 0.32, 0.52, 0.62, 0.72, 0.79, 0.86],
    7: [0.41, 0.14, 0.01, 0.01, 0.09, 0.30, 0.46, 0.59, 0.69, 0.80],
    9: [0.50, 0.24, 0.08, 0.01, 0.01, 0.13, 0.29, 0.47, 0.60, 0.74],
}


@pytest.mark.parametrize("window", WEIGHTS_OF_LINES)
def test_a_window_mutes_lines_thinner_than_itself(window):
    lines = np.zeros((len(THICKNESSES), 32, 64), np.uint8)
    for line, thickness in zip(lines, THICKNESSES, strict=True):
        line[:, 20 : 20 + thickness] = 1
    mask = np.asarray(confusion_mask(lines, 2, window=window))
    means = [mask[i][line == 1].mean() for i, line in enumerate(lines)]
    np.testing.assert_allclose(means, WEIGHTS_OF_LINES[window], atol=0.0051)


@pytest.mark.parametrize("num_classes", [4, 6])
def test_two_classes_of_many_are_never_muted_altogether(num_classes):
    labels = np.zeros((20, 20), np.uint8)
    labels[:, 10:] = 1
    least = 1 - np.log(2) / np.log(num_classes)
    of_two, of_many = (confusion_mask(labels, c, window=5) for c in (2, num_classes))
    assert of_many.min() >= least
    assert_close(
        (of_many - least) / (1 - least), of_two, unit=3e-6
    )  # the division by .4 to .5 of two roundings


def test_a_preserved_class_has_mean_1_and_an_erased_one_weight_1():
    labels = np.zeros((1, 24, 24), np.uint8)
    labels[0, 3:12, 3:12] = 1
    mask = np.asarray(confusion_mask(labels, 2, preserve_class_mass=True))
    for k in (0, 1):
        assert mask[labels == k].mean() == pytest.approx(1, rel=1e-6)
    board = np.indices((1, 24, 24)).sum(0) % 2  # both classes half of every window, but near the corners
    board = np.where(formulas.confusion_mask(board[0], 2) < 2e-3, board, 255)
    np.testing.assert_array_equal(confusion_mask(board, 2, preserve_class_mass=True) == 1, board < 255)


@pytest.mark.parametrize("preserve_class_mass", [False, True])
def test_the_minimum_may_be_traced_and_has_no_gradient(preserve_class_mass):
    labels = blobs(3)

    @jax.jit
    def total(minimum):
        mask = confusion_mask(labels, 3, minimum=minimum, preserve_class_mass=preserve_class_mass)
        return mask.sum(), mask

    slope, mask = jax.grad(total, has_aux=True)(0.3)
    assert slope == 0
    wanted = confusion_mask(labels, 3, minimum=0.3, preserve_class_mass=preserve_class_mass)
    assert_close(mask, wanted)


# Both


def test_the_balance_mask_is_the_product_and_takes_the_options_of_both():
    labels = blobs(3)
    rarity = {"beta": 0.9, "counting": "pixels", "floor": 7.0, "relative": False, "power": 0.5}
    purity = {"window": 5, "minimum": 0.1, "preserve_class_mass": True, "method": "conv"}
    np.testing.assert_array_equal(
        balance_mask(labels, 3, **rarity, **purity),
        class_weight_mask(labels, 3, **rarity) * confusion_mask(labels, 3, **purity),
    )
    np.testing.assert_array_equal(
        balance_mask(labels, 3), class_weight_mask(labels, 3) * confusion_mask(labels, 3)
    )


# Components, on the host


@pytest.mark.parametrize("num_classes", [1, 2, 5])
@pytest.mark.parametrize(
    "options", [{}, {"minimum": 0, "maximum": np.inf}, {"minimum": 2, "maximum": 3}], ids=str
)
def test_inverse_weights_are_those_of_the_published_code(num_classes, options):
    labels = blobs(num_classes, (2, 20, 23))
    labels[1][labels[1] == 0] = num_classes - 1  # no background
    mask = inverse_weight_mask(labels, num_classes, **options)
    assert isinstance(mask, np.ndarray)
    assert mask.dtype == np.float32
    assert_close(mask, by_image(formulas.inverse_weight_mask, labels, num_classes, **options))


def test_without_limits_the_mean_inverse_weight_is_1():
    labels = blobs(3, (20, 23))
    mask = inverse_weight_mask(labels, 3, minimum=0)
    assert mask.sum() == pytest.approx(formulas.valid(labels, 3).sum(), rel=1e-6)


def test_things_are_joined_by_corners_but_neither_across_classes_nor_through_void():
    labels = np.array([[1, 0, 2, 1, 255, 1], [0, 1, 0, 0, 255, 0]])
    mask = inverse_weight_mask(labels, 3, minimum=0)
    sizes = np.array([[2, 5, 1, 1, np.inf, 1], [5, 2, 5, 5, np.inf, 5]])
    assert_close(mask, 10 / (5 * sizes))  # ten pixels in five parts


def test_leading_axes_void_and_types_of_labels_change_no_inverse_weight():
    labels = blobs(3)
    mask = inverse_weight_mask(labels, 3)
    np.testing.assert_array_equal(inverse_weight_mask(labels[:, None], 3)[:, 0], mask)
    np.testing.assert_array_equal(inverse_weight_mask(labels[1], 3), mask[1])
    np.testing.assert_array_equal(inverse_weight_mask(jnp.asarray(labels), 3), mask)
    np.testing.assert_array_equal(
        inverse_weight_mask(np.where(labels < 0, 255, labels).astype(np.uint8), 3), mask
    )
    padded = np.pad(labels, ((0, 0), (0, 3), (2, 0)), constant_values=-1)
    np.testing.assert_array_equal(inverse_weight_mask(padded, 3)[:, :-3, 2:], mask)
    assert (inverse_weight_mask(padded, 3)[padded == -1] == 0).all()
    assert (inverse_weight_mask(np.full((3, 3), 255), 3) == 0).all()
