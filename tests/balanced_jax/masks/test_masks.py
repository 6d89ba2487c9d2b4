"""Masks against loops that spell the equations out."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import masks
from balanced_jax._labels import class_counts, one_hot
from balanced_jax.masks import (
    balance_mask,
    boundary_mask,
    class_weight_mask,
    confusion_mask,
    fixed_class_weights,
    inverse_weight_mask,
    valid_mask,
)
from tests.balanced_jax import formulas
from tests.balanced_jax.blobs import ON_HOST, blobs, by_image
from tests.balanced_jax.tolerance import assert_close
from tests.balanced_jax.x64 import enable_x64


def falling_class_weights(labels, num_classes):
    """The mask that has an option without default."""
    return fixed_class_weights(labels, num_classes, values=np.linspace(2, 1, num_classes))


MASKS = [
    falling_class_weights if name == "fixed_class_weights" else getattr(masks, name)
    for name in masks.__all__
    if name not in ON_HOST  # see below
]
every_mask = pytest.mark.parametrize("mask", MASKS, ids=lambda mask: mask.__name__)


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
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_labels_beyond_32_bits_are_void(mask, dtype):
    labels = blobs(3)
    far = np.where(np.arange(14) >= 9, 2**32 + 1, np.clip(labels, 0, 2)).astype(dtype)
    near = np.where(np.arange(14) >= 9, 255, np.clip(labels, 0, 2))
    np.testing.assert_array_equal(mask(far, 3), mask(near, 3))


@every_mask
@pytest.mark.parametrize("shape", [(0, 6, 5), (2, 0, 5), (2, 6, 0)])
def test_empty_images_have_empty_masks(mask, shape):
    assert mask(np.zeros(shape, int), 3).shape == shape


@pytest.mark.parametrize("num_classes", [1, 4, 5])
@pytest.mark.parametrize("shape", [(2, 3, 4), (33, 5)])
def test_a_cpu_counts_classes_as_sums_of_planes_do(num_classes, shape):
    labels = jnp.asarray(blobs(num_classes, shape))
    planes = one_hot(labels, num_classes)
    np.testing.assert_array_equal(class_counts(labels, num_classes), planes.sum(axis=(-3, -2)))


@pytest.mark.slow
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
    with enable_x64(True):
        assert jax.eval_shape(lambda: mask(blobs(3), 3)).dtype in (jnp.float32, bool)


# Valid pixels and boundaries


def test_a_pixel_is_valid_where_its_label_is_a_class():
    labels = np.array([[-1, 0, 1, 2, 3, 255]])
    np.testing.assert_array_equal(valid_mask(labels, 3), [[False, True, True, True, False, False]])


@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_boundary_pixel_has_a_neighbor_of_another_class(num_classes):
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


# Given class weights


@pytest.mark.parametrize("num_classes", [1, 2, 5])
@pytest.mark.parametrize("as_type", [list, tuple, np.array, jnp.array], ids=lambda f: f.__name__)
def test_given_weights_are_looked_up_by_the_label(num_classes, as_type):
    labels = blobs(num_classes)
    values = [3.5, 0, 1e4, 0.25, 7][:num_classes]
    actual = fixed_class_weights(labels, num_classes, values=as_type(values))
    assert actual.dtype == jnp.float32
    np.testing.assert_array_equal(
        actual, by_image(formulas.fixed_class_weights, labels, num_classes, values=values)
    )


def test_given_weights_may_be_traced_and_have_no_gradient():
    labels = blobs(3)
    traces = []

    @jax.jit
    def mask(values):
        traces.append(values)
        return fixed_class_weights(labels, 3, values=values)

    for values in ((1.0, 2.0, 3.0), (4.0, 0.5, 0.0)):
        np.testing.assert_array_equal(mask(values), fixed_class_weights(labels, 3, values=values))
    assert len(traces) == 1
    assert jax.grad(lambda values: mask(values).sum())((1.0, 2.0, 3.0)) == (0, 0, 0)
    of_array = jax.grad(lambda values: fixed_class_weights(labels, 3, values=values).sum())
    np.testing.assert_array_equal(of_array(jnp.ones(3)), np.zeros(3))


# Both


def test_the_balance_mask_is_the_product_and_takes_the_options_of_both():
    labels = blobs(3)
    rarity = {"beta": 0.9, "counting": "pixels", "floor": 7.0, "relative": False, "power": 0.5}
    purity = {"window": 5, "minimum": 0.1, "preserve_class_mass": True}
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
        inverse_weight_mask(labels, 3, minimum=np.int64(1), maximum=np.float32(2e5)), mask
    )
    np.testing.assert_array_equal(
        inverse_weight_mask(np.where(labels < 0, 255, labels).astype(np.uint8), 3), mask
    )
    padded = np.pad(labels, ((0, 0), (0, 3), (2, 0)), constant_values=-1)
    np.testing.assert_array_equal(inverse_weight_mask(padded, 3)[:, :-3, 2:], mask)
    assert (inverse_weight_mask(padded, 3)[padded == -1] == 0).all()
    assert (inverse_weight_mask(np.full((3, 3), 255), 3) == 0).all()
