"""Defects measured in other libraries, by their number in the survey of peers: none may be true of this one.

Numbers that are missing are about things that we do not have (11, label smoothing; 28, resizing inside a
loss), or hold for the whole battery, which calls every loss with its defaults (29) and bytes as labels (34).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import losses
from balanced_jax.losses import masked_mean
from balanced_jax.masks import class_weight_mask, valid_mask
from tests.balanced_jax.losses.examples import SHAPE, example, without
from tests.balanced_jax.losses.table import CASES, ROWS
from tests.balanced_jax.tolerance import assert_close

ROW = {row.name: row for row in ROWS}
ONES = np.ones(SHAPE, np.float32)

softmax_losses = pytest.mark.parametrize("row", [r for r in ROWS if not r.multilabel], ids=lambda r: r.name)
pixel_losses = pytest.mark.parametrize(
    "row", [r for r in ROWS if not r.region and not r.multilabel], ids=lambda r: r.name
)
region_losses = pytest.mark.parametrize("row", [r for r in ROWS if r.region], ids=lambda r: r.name)
every_loss = pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)


def cost(row, logits, labels, weights=ONES):
    """Loss of a batch and its gradient, of float32 logits."""
    valid = valid_mask(labels, 2).any(-1) if row.multilabel else valid_mask(labels, logits.shape[-1])
    pixels = np.maximum(np.asarray(valid).sum((-2, -1), keepdims=True), 1)
    images = max(np.asarray(valid).any((-2, -1)).sum(), 1)
    share = (np.asarray(valid) / pixels / images).astype(np.float32)
    value, gradient = row.both(logits, labels, weights, share)
    return np.sum(np.asarray(value, np.float64) * share), np.asarray(gradient)


def saying(classes, margin=40.0):
    """Logits that are sure of these classes."""
    return (margin * np.eye(3)[classes]).astype(np.float32)


def defect(shape=SHAPE):
    """Images of background with two pixels of class 1 in each; class 2 is nowhere."""
    labels = np.zeros(shape, np.int32)
    labels[..., 1, 2:4] = 1
    return labels


def test_peers_01_an_absent_class_does_not_take_all_the_weight_of_generalized_dice():
    labels = defect()
    assert cost(ROW["generalized_dice_loss"], saying(1 - labels), labels)[0] > 0.99
    assert cost(ROW["generalized_dice_loss"], saying(labels), labels)[0] < 1e-6


@softmax_losses
@pytest.mark.parametrize("void", [-1, -3, 3, 255, -100])
def test_peers_02_a_label_that_is_no_class_is_void_and_never_the_last_class(row, void):
    logits, _, _, _ = example(row)
    labels = defect()
    labels[..., 3, :] = void
    value, gradient = row.both(logits, labels, ONES, ONES)
    assert (value[..., 3, :] == 0).all()
    assert (gradient[..., 3, :, :] == 0).all()
    assert jnp.isfinite(jnp.sum(value * ONES))


@softmax_losses
def test_peers_03_a_mask_of_0_takes_pixels_out_of_the_sums(row):
    logits, labels, _, cotangent = example(row)
    half = np.broadcast_to(np.arange(6) < 3, SHAPE)
    masked, _ = row.both(logits, np.where(half, labels, 255), half.astype(np.float32), cotangent)
    worse = np.where(half[..., None], logits, logits[..., ::-1] * 5)
    again, _ = row.both(worse, np.where(half, labels, 255), half.astype(np.float32), cotangent)
    assert jnp.isfinite(masked).all()
    np.testing.assert_array_equal(masked, again)


@region_losses
def test_peers_04_void_drops_pixels_and_not_a_channel(row):
    labels = defect()
    void = np.broadcast_to(np.arange(6) >= 4, SHAPE)
    assert cost(row, saying(np.where(void, 2, labels)), np.where(void, 255, labels))[0] < 1e-6


def test_peers_05_focal_loss_is_the_mean_over_pixels_whether_void_is_about_or_not():
    uniform, expected = np.zeros((*SHAPE, 3), np.float32), (2 / 3) ** 2 * np.log(3)
    for labels in (defect(), np.where(np.arange(6) > 3, 255, defect())):
        assert cost(ROW["softmax_focal_loss"], uniform, labels)[0] == pytest.approx(expected, rel=1e-6)


@region_losses
@pytest.mark.parametrize("classes", ["present", "all"])
def test_peers_06_false_alarms_all_over_a_clean_image_cost_and_pull(row, classes):
    options = {} if row is ROW["generalized_dice_loss"] else {"classes": classes}
    labels = np.zeros((5, 6), np.int32)
    alarm = np.zeros((5, 6, 2), np.float32) + np.array([-5, 5], np.float32)
    value, gradient = jax.jit(
        jax.value_and_grad(lambda z: masked_mean(row.loss(z, labels, **options), valid_mask(labels, 2)))
    )(alarm)
    assert 0.85 < value <= 1.000001
    if row.name != "lovasz_softmax_loss" or classes == "present":
        assert (gradient[..., 1] > 0).all()  # descent lowers the false score
    else:
        assert gradient[..., 1].sum() > 0


@region_losses
def test_peers_07_a_clean_image_answered_well_costs_next_to_nothing(row):
    labels = np.zeros(SHAPE, np.int32)
    sure = cost(row, saying(labels, margin=9.9), labels)[0]  # p = 5e-5 for either of the other classes
    surer = cost(row, saying(labels, margin=20.0), labels)[0]
    assert 0 < surer < sure < 2e-3


@region_losses
def test_peers_08_a_small_defect_missed_altogether_costs_half(row):
    labels = np.zeros((32, 32), np.int32)
    labels[4:6, 7:9] = 1
    background = np.zeros((32, 32, 2), np.float32) + np.array([40, 0], np.float32)
    assert jax.jit(row.loss)(background, labels).mean() >= 0.5


@region_losses
def test_peers_09_a_weight_of_0_takes_a_wrong_pixel_out(row):
    labels, wrong = defect(), np.zeros(SHAPE, bool)
    wrong[..., 4, 0] = True
    logits = saying(np.where(wrong, 1, labels))
    assert cost(row, logits, labels)[0] > 0.01
    assert cost(row, logits, labels, np.where(wrong, 0, ONES))[0] < 1e-6


@every_loss
def test_peers_10_void_pixels_do_not_dilute_the_mean(row):
    logits, labels, _, _ = example(row)
    logits, labels = (np.concatenate([array[:, :, :3]] * 2, axis=2) for array in (logits, labels))
    labels = np.where(labels == 2, 1, labels)
    if row.mask_inside:  # its windows look across the seam
        logits, labels = np.zeros_like(logits), np.zeros_like(labels)
    half = without(labels, np.broadcast_to(np.arange(6) >= 3, SHAPE))
    np.testing.assert_allclose(cost(row, logits, half)[0], cost(row, logits, labels)[0], rtol=2e-6)


@pytest.mark.parametrize("name", ["softmax_focal_loss", "sigmoid_focal_loss", "focal_tversky_loss"])
@pytest.mark.parametrize("gamma", [0.5, 0.1])
@pytest.mark.parametrize("margin", [20, 40, 80, 200])
def test_peers_12_an_exponent_below_1_has_a_finite_gradient_at_a_right_pixel(name, gamma, margin):
    labels = np.eye(3, dtype=int)[defect((5, 6))] if "sigmoid" in name else defect((5, 6))
    logits = margin * (2 * np.eye(3)[defect((5, 6))] - 1)
    value, gradient = FOCAL[name](logits.astype(np.float32), labels, jnp.float32(gamma))
    assert 0 <= value < 2e-3 if gamma == 0.5 or margin > 20 else 0 <= value < 0.2
    assert jnp.isfinite(gradient).all()


FOCAL = {
    name: jax.jit(
        jax.value_and_grad(lambda z, y, gamma, name=name: getattr(losses, name)(z, y, gamma=gamma).mean())
    )
    for name in ("softmax_focal_loss", "sigmoid_focal_loss", "focal_tversky_loss")
}


def test_peers_13_a_pixel_wrong_by_100_logits_costs_100_and_pulls():
    labels = np.zeros(SHAPE, np.int32)
    value, gradient = cost(ROW["softmax_focal_loss"], saying(labels + 1, margin=100.0), labels)
    assert value == pytest.approx(100, rel=1e-6)
    np.testing.assert_allclose(gradient[..., 0], -1 / 60, rtol=1e-6)
    assert jnp.isfinite(class_weight_mask(labels, 3)).all()  # two classes have no pixel


@every_loss
@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
def test_peers_14_half_precision_at_512x512_is_float32_on_the_same_logits(row, dtype):
    logits, labels, _, cotangent = example(row, 2, (512, 512))
    arguments = labels, np.ones((512, 512), np.float32), cotangent
    rounded = jnp.asarray(logits, dtype)
    value, gradient = row.both(rounded, *arguments)
    value32, gradient32 = row.both(rounded.astype(jnp.float32), *arguments)
    assert gradient.dtype == dtype
    assert jnp.isfinite(value).all()
    assert jnp.isfinite(gradient).all()
    assert_close(value, value32, rounded)
    assert_close(gradient, gradient32.astype(dtype), rounded, unit=float(jnp.finfo(dtype).eps))
    if not row.mask_inside and row.name != "lovasz_softmax_loss":  # loops over pixels
        assert_close(value32, row.formula(np.asarray(rounded, np.float64), labels), rounded)


@every_loss
def test_peers_15_and_16_images_without_a_label_cost_0_beside_others(row):
    logits, labels, _, _ = example(row)
    nothing = without(labels, np.ones(SHAPE, bool))
    value, gradient = cost(row, logits, nothing)
    assert value == 0
    assert (gradient == 0).all()
    mixed = np.stack([labels[0], nothing[1]])
    value, gradient = cost(row, logits, mixed)
    twice = cost(row, np.stack([logits[0]] * 2), np.stack([labels[0]] * 2))[0]
    np.testing.assert_allclose(value, twice, rtol=2e-6)
    assert (gradient[1] == 0).all()
    single = nothing.copy()
    single[0, 2, 2] = 1
    value, gradient = cost(row, logits, single)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@region_losses
def test_peers_17_a_class_that_is_neither_labeled_nor_predicted_is_no_zero_over_zero(row):
    labels = np.zeros(SHAPE, np.int32)
    value, gradient = cost(row, saying(labels, margin=1e4), labels)
    assert value == 0
    assert np.isfinite(gradient).all()


@every_loss
def test_peers_18_labels_off_the_scale_are_void_in_every_loss(row):
    logits, labels, _, cotangent = example(row)
    for off in (255, 9, -1):
        value, _ = row.both(logits, np.full_like(labels, off), ONES, cotangent)
        assert (value == 0).all()


@pytest.mark.parametrize("margin", [16, 40, 1000])
def test_peers_19_a_pixel_wrong_by_40_logits_costs_40_and_still_pulls(margin):
    labels = np.zeros(SHAPE, np.int32)
    value, gradient = cost(ROW["softmax_cross_entropy"], saying(labels + 1, margin=margin), labels)
    assert value == pytest.approx(margin, rel=1e-6)
    np.testing.assert_allclose(gradient[..., 0], -1 / 60, rtol=1e-6)


@every_loss
def test_peers_20_and_21_a_map_has_the_shape_of_the_pixels_of_one_image_or_many(row):
    _, labels, _, _ = example(row)
    for dtype in (jnp.bfloat16, jnp.float32):
        for lead in ((), (1,), (2, 3)):
            logits = jax.ShapeDtypeStruct((*lead, 5, 6, 3), dtype)
            y = jax.ShapeDtypeStruct((*lead, *labels.shape[1:]), jnp.uint8)
            assert jax.eval_shape(row.loss, logits, y).shape == (*lead, 5, 6)


@softmax_losses
def test_peers_22_an_image_does_not_depend_on_its_neighbors_in_the_batch(row):
    logits, labels, weights, cotangent = example(row)
    together = row.both(logits, labels, weights, cotangent)
    other = row.both(
        *(
            np.stack([a[0], b[1]])
            for a, b in zip(example(row), (logits[::-1], labels[::-1], weights[::-1], cotangent), strict=True)
        )
    )
    for a, b in zip(together, other, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_peers_22_generalized_dice_never_exceeds_1():
    labels = defect()
    for answer in (1 - labels, np.full_like(labels, 2), np.ones_like(labels)):
        assert cost(ROW["generalized_dice_loss"], saying(answer), labels)[0] <= 1.000001


@every_loss
def test_peers_23_sure_and_right_logits_cost_nothing(row):
    _, labels, _, _ = example(row)
    sure = 40 * (2 * labels - 1) if row.multilabel else saying(np.clip(labels, 0, 2))
    assert cost(row, sure.astype(np.float32), labels)[0] < 1e-6


@pytest.mark.parametrize("name", ["softmax_focal_loss", "sigmoid_focal_loss"])
def test_peers_24_focal_loss_with_gamma_0_is_cross_entropy_and_no_part_of_it(name):
    (unfocused,) = (case for case in CASES if case.row is ROW[name] and case.options == {"gamma": 0})
    logits, labels, _, cotangent = example(ROW[name])
    if name == "softmax_focal_loss":
        reference = ROW["softmax_cross_entropy"].formula
    else:
        reference = functools.partial(ROW["sigmoid_truncated_cross_entropy"].formula, eps_inf=0, eps_sup=1)
    value, _ = unfocused.both(logits, labels, ONES, cotangent)
    images = zip(logits.astype(float), labels, strict=True)
    assert_close(value, np.stack([reference(z, y) for z, y in images]), logits)


@pixel_losses
def test_peers_25_weights_of_2_double_a_pixel_loss(row):
    logits, labels, _, _ = example(row)
    np.testing.assert_allclose(
        cost(row, logits, labels, 2 * ONES)[0], 2 * cost(row, logits, labels)[0], rtol=1e-6
    )


@region_losses
def test_peers_25_weights_of_2_leave_a_ratio_as_it_is(row):
    logits, labels, _, _ = example(row)
    np.testing.assert_allclose(
        cost(row, logits, labels, 2 * ONES)[0], cost(row, logits, labels)[0], rtol=1e-6
    )


@every_loss
def test_peers_26_the_loss_of_a_batch_is_the_mean_of_those_of_its_images(row):
    logits, labels, _, _ = example(row)
    labels[0] = without(labels[0], np.broadcast_to(np.arange(6) >= 3, SHAPE[1:]))  # unequal void
    alone = [cost(row, np.stack([logits[i]] * 2), np.stack([labels[i]] * 2))[0] for i in (0, 1)]
    np.testing.assert_allclose(cost(row, logits, labels)[0], np.mean(alone), rtol=2e-6)


@region_losses
def test_peers_27_classes_that_are_nowhere_do_not_thin_the_mean(row):
    labels = defect((5, 6))
    two = np.random.default_rng(0).normal(size=(5, 6, 2)).astype(np.float32)
    five = np.concatenate([two, np.full((5, 6, 3), -200, np.float32)], axis=-1)
    few, many = (jax.jit(row.loss)(logits, labels).mean() for logits in (two, five))
    np.testing.assert_allclose(many, few, rtol=2e-6)


def test_peers_35_lovasz_maps_over_images_and_a_traced_gamma_is_traced_once():
    row = ROW["lovasz_softmax_loss"]
    logits, labels, _, _ = example(row)
    labels[0] = 255
    mapped = jax.jit(jax.vmap(row.loss))(logits, labels)
    np.testing.assert_allclose(mapped, row.both(logits, labels, ONES, ONES)[0], rtol=1e-6)
    traces = []

    @jax.jit
    def focal(gamma):
        traces.append(gamma)
        return losses.softmax_focal_loss(logits, labels, gamma=gamma)

    for gamma in (0.0, 0.5, 1.0, 2.0, 4.0):
        focal(gamma)
    assert len(traces) == 1


@pytest.mark.parametrize("eps_sup", [0.7, 1.0])
@pytest.mark.parametrize("margin", [20, 100])
def test_peers_36_the_truncated_losses_pull_without_nan_at_20_logits_wrong(margin, eps_sup):
    labels = np.zeros((1, 1), np.int32)
    wrong = np.array([[[0, margin, 0]]], np.float32)
    for loss, y in (
        (losses.softmax_truncated_cross_entropy, labels),
        (losses.all_entries_truncated_cross_entropy, labels),
        (losses.balanced_loss, labels),
        (losses.sigmoid_truncated_cross_entropy, np.array([[[0, 0, 1]]])),
    ):
        gradient = jax.jit(jax.grad(lambda z, y=y, loss=loss: loss(z, y, eps_sup=eps_sup).sum()))(wrong)
        assert jnp.isfinite(gradient).all()
        assert eps_sup < 1 or gradient[0, 0, 1] > 0
