"""The confusion mask, and both ways of counting, against loops that spell the equations out."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from balanced_jax.masks import _on_cpu, confusion_mask, valid_mask
from balanced_jax.masks.confusion import _purity_of_counts, count_by_convolution, count_by_slices
from tests.balanced_jax import formulas
from tests.balanced_jax.blobs import blobs, by_image
from tests.balanced_jax.tolerance import assert_close

METHODS: list[Literal["conv"] | None] = ["conv", None]


@functools.partial(jax.jit, static_argnums=(1, 2))
def count_in_words(labels, num_classes, window):
    return jnp.stack(count_by_slices(labels, num_classes, window), axis=-1)


def purity_by_slices(labels, num_classes, window):
    """What every platform but the CPU runs."""
    return _purity_of_counts(count_by_slices(labels, num_classes, window))


@pytest.mark.parametrize("window", [3, 15, *(pytest.param(w, marks=pytest.mark.slow) for w in (5, 7, 9))])
@pytest.mark.parametrize("num_classes", [2, 5, 12])
@pytest.mark.parametrize("shape", [(1, 11, 17), (2, 3, 4)])
def test_both_ways_of_counting_give_the_count(window, num_classes, shape):
    labels = jnp.asarray(blobs(num_classes, shape, seed=window))
    expected = by_image(formulas.counts, np.asarray(labels), num_classes, window)
    for count in (count_by_convolution, count_in_words):
        counts = count(labels, num_classes, window)
        assert jnp.issubdtype(counts.dtype, jnp.integer)
        np.testing.assert_array_equal(counts, expected)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("window", [255, 257])  # the last that two counters of a word can hold, and one more
def test_large_windows_are_counted_in_full(window):
    labels = jnp.zeros((300, 300), jnp.int32).at[:, 200:].set(1)
    ones = (151 + window // 2 - 200) * window
    np.testing.assert_array_equal(count_in_words(labels, 2, window)[150, 150], [window**2 - ones, ones])
    shares = np.array([window**2 - ones, ones]) / window**2
    mask = confusion_mask(labels, 2, window=window)
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
@pytest.mark.parametrize("method", METHODS)
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
    expected = by_image(formulas.confusion_mask, labels, num_classes, window=window)
    assert_close(confusion_mask(labels, num_classes, window=window, method=method), expected)


@pytest.mark.parametrize("num_classes", [2, 5, 12])
@pytest.mark.parametrize("window", [3, 7, 15])
def test_a_cpu_looks_up_what_other_platforms_compute(num_classes, window):
    labels = jnp.asarray(blobs(num_classes, (2, 40, 41)))
    valid = valid_mask(labels, num_classes)
    expected = purity_by_slices(labels, num_classes, window)
    assert_close(_on_cpu.purity(labels, num_classes, window)[valid], expected[valid])


def test_the_look_up_needs_no_platform_int_of_64_bits(monkeypatch):
    monkeypatch.setattr(_on_cpu, "int", np.int32, raising=False)  # as NumPy 1 has it on Windows
    labels = jnp.asarray(blobs(3, (2, 20, 21)))
    valid = valid_mask(labels, 3)
    assert_close(_on_cpu.purity(labels, 3, 5)[valid], purity_by_slices(labels, 3, 5)[valid])


@pytest.mark.parametrize("method", METHODS)
def test_a_class_of_small_mean_keeps_the_digits_of_its_mask(method):
    board = np.indices((1, 64, 64)).sum(0) % 2  # near an even mixture in every window
    mask = confusion_mask(board, 2, window=5, preserve_class_mass=True, method=method)
    expected = by_image(formulas.confusion_mask, board, 2, window=5, preserve_class_mass=True)
    assert_close(mask, expected)


@pytest.mark.parametrize("num_classes", [2, 3, 5, 12])
def test_a_window_of_one_class_weighs_1_also_at_the_border_and_beside_void(num_classes):
    labels = np.zeros((1, 11, 14), np.uint8)
    labels[0, 4:6, 7] = 255
    mask = confusion_mask(labels, num_classes)
    assert_close(
        mask, valid_mask(labels, num_classes), unit=2e-7
    )  # one rounding of the share, one of the sum


def test_the_printed_equation_9_takes_the_border_for_a_mixture_and_is_the_mask_inside():
    labels = blobs(2, (16, 16))
    labels[labels == 255] = 1
    labels[labels == -1] = 0
    mask = confusion_mask(labels, 2)
    printed = formulas.confusion_mask(labels, 2, divide_by_area=True)
    assert_close(mask[3:-3, 3:-3], printed[3:-3, 3:-3])
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
    expected = confusion_mask(labels, 3, minimum=0.3, preserve_class_mass=preserve_class_mass)
    assert_close(mask, expected)
