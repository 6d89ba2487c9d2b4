"""The battery: what holds for every public loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from balanced_jax import losses
from tests.balanced_jax import formulas
from tests.balanced_jax.table import CASES, ROWS, Case
from tests.balanced_jax.tolerance import assert_close

SHAPE = (2, 5, 6)

every_loss = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
every_number = pytest.mark.parametrize(
    ("row", "name"), [pytest.param(r, n, id=f"{r.name}-{n}") for r in ROWS for n in r.numbers]
)
every_comparison = pytest.mark.parametrize("case", CASES, ids=str)
every_region_loss = pytest.mark.parametrize("row", [r for r in ROWS if r.region], ids=lambda row: row.name)
every_multilabel_loss = pytest.mark.parametrize(
    "row", [r for r in ROWS if r.multilabel], ids=lambda row: row.name
)


def example(row, num_classes=3, shape=SHAPE, scale=3.0):
    """Logits, labels with void pixels, weights with NaN at these, and a cotangent."""
    rng = np.random.default_rng(num_classes)
    logits = (scale * rng.normal(size=(*shape, num_classes))).astype(np.float32)
    labels = row.labels(rng, shape, num_classes)
    weights = rng.uniform(0, 2, shape).astype(np.float32)
    weights[..., 0, 0] = 0
    void = ~formulas.valid(labels, max(num_classes, 2)).reshape(*shape, -1).any(-1)
    return logits, labels, np.where(void, np.nan, weights), rng.normal(size=shape).astype(np.float32)


def without(labels, void):
    """The labels with void pixels where the map `void` says so."""
    return np.where(void.reshape(*void.shape, *(1,) * (labels.ndim - void.ndim)), 255, labels)


def pull(loss, logits, cotangent):
    value, back = jax.vjp(loss, jnp.asarray(logits))
    return value, back(jnp.asarray(cotangent, value.dtype))[0]


def expected(row, logits, labels, weights, cotangent, **options):
    """Map and gradient of a batch by the formula."""
    values, gradients = [], []
    for i, image in enumerate(logits.astype(np.float64)):
        weight = None if weights is None else weights[i].astype(np.float64)
        formula = functools.partial(row.formula, labels=labels[i], weights=weight, **options)
        values.append(formula(image))
        gradients.append(formulas.gradient(formula, image, cotangent[i].astype(np.float64)))
    return np.stack(values), np.stack(gradients)


def test_the_table_holds_every_public_loss_of_logits():
    assert {row.name for row in ROWS} == set(losses.__all__) - {"masked_mean", "truncated_cross_entropy"}


def check(case, logits, labels, weights, cotangent, gradient_scale=None):
    """Map and gradient are those of the formula."""
    value, gradient = case.both(logits, labels, weights, cotangent)
    value64, gradient64 = expected(case.row, logits, labels, weights, cotangent, **case.options)
    assert value.dtype == gradient.dtype == jnp.float32
    assert_close(value, value64, logits)
    assert_close(gradient, gradient64, logits if gradient_scale is None else gradient_scale)


@every_comparison
@pytest.mark.parametrize("weighted", [False, True])
def test_map_and_gradient_are_those_of_the_formula(case, weighted):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    check(case, logits, labels, weights if weighted else np.ones_like(weights), cotangent)


@every_loss
def test_weights_of_1_change_nothing(row):
    logits, labels, _, cotangent = example(row)
    weighted, _ = row.both(logits, labels, np.ones(SHAPE, np.float32), cotangent)
    assert_close(jax.jit(row.loss)(logits, labels), weighted)


@every_loss
def test_curvature_is_that_of_the_formula(row):
    logits, labels, weights, cotangent = example(row)
    direction = np.random.default_rng(1).normal(size=logits.shape)

    def gradient(z):
        return row.both(z, labels, weights, cotangent)[1]

    curvature = jax.jit(jax.grad(lambda z: jnp.vdot(gradient(z), direction.astype(np.float32))))(logits)
    ahead, behind = (
        expected(row, logits + step * direction, labels, weights, cotangent)[1] for step in (1e-5, -1e-5)
    )
    assert_close(curvature, (ahead - behind) / 2e-5, logits)


@every_loss
def test_void_pixels_are_as_if_cut_off(row):
    logits, labels, weights, cotangent = example(row, shape=(2, 5, 9))
    void = np.broadcast_to(np.arange(9) >= 6, labels.shape[:3])
    weights = np.where(void, np.nan, weights)

    value, gradient = row.both(logits, without(labels, void), weights, cotangent)
    kept, kept_gradient = row.both(*(array[:, :, :6] for array in (logits, labels, weights, cotangent)))
    assert_close(value[:, :, :6], kept, logits)
    assert_close(gradient[:, :, :6], kept_gradient, logits)
    assert (value[:, :, 6:] == 0).all()
    assert (gradient[:, :, 6:] == 0).all()


@every_loss
@pytest.mark.parametrize("weights", [None, np.full(SHAPE, np.nan, np.float32)], ids=["", "weights"])
def test_nothing_but_void_costs_nothing(row, weights):
    logits, labels, _, cotangent = example(row)
    labels = without(labels, np.ones(SHAPE, bool))
    value, gradient = row.both(logits, labels, weights, cotangent)
    assert (value == 0).all()
    assert (gradient == 0).all()


@every_loss
def test_weights_of_0_everywhere_cost_nothing(row):
    logits, labels, _, cotangent = example(row)
    value, gradient = row.both(logits, labels, np.zeros(SHAPE, np.float32), cotangent)
    assert (value == 0).all()
    assert (gradient == 0).all()


@every_comparison
@pytest.mark.parametrize("present", [(0,), (0, 1)], ids=["clean", "of two classes"])
def test_images_that_lack_classes_are_those_of_the_formula(case, present):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    labels = np.where(np.isin(labels, [*present, -1, 255]), labels, 0)
    check(case, logits, labels, weights, cotangent)


@every_comparison
@pytest.mark.parametrize("size", [20, 100, 1e4])
def test_large_logits_are_those_of_the_formula(case, size):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    check(case, np.sign(logits) * np.float32(size), labels, weights, cotangent, gradient_scale=0)


@every_comparison
def test_logits_of_1e37_give_a_finite_map(case):
    logits, labels, weights, cotangent = example(case.row, case.num_classes)
    value, _ = case.both(np.sign(logits) * np.float32(1e37), labels, weights, cotangent)
    assert jnp.isfinite(value).all()


@pytest.mark.parametrize("row", [r for r in ROWS if not r.multilabel], ids=lambda row: row.name)
def test_an_offset_of_all_logits_changes_nothing(row):
    logits, *others = example(row)
    logits = np.round(logits)  # whole numbers, so that the sum is exact
    for shifted, plain in zip(
        row.both(logits + np.float32(1e4), *others), row.both(logits, *others), strict=True
    ):
        assert_close(shifted, plain)


@every_loss
def test_jit_vmap_and_a_loop_are_the_eager_call(row):
    arguments = example(row)

    def both(z, y, w, g):
        return pull(lambda z: row.loss(z, y, weights=w), z, g)

    eager = both(*arguments)
    others = [
        row.both(*arguments),
        jax.jit(jax.vmap(both))(*arguments),
        [jnp.stack(images) for images in zip(*map(row.both, *arguments), strict=True)],
        [value[0] for value in row.both(*(a[None] for a in arguments))],
    ]
    for other in others:
        for actual, wanted in zip(other, eager, strict=True):
            assert_close(actual, wanted, arguments[0])


@every_loss
def test_scan_and_remat_are_the_eager_call(row):
    logits, labels, weights, _ = example(row)

    @jax.checkpoint
    def step(total, image):
        z, y, w = image
        return total + jnp.sum(row.loss(z, y, weights=w)), None

    def scanned(z):
        return jax.lax.scan(step, jnp.float32(0), (z, jnp.asarray(labels), jnp.asarray(weights)))[0]

    total, gradient = jax.jit(jax.value_and_grad(scanned))(logits)
    value, plain = row.both(logits, labels, weights, np.ones(SHAPE, np.float32))
    assert_close(total, value.sum(), logits)
    assert_close(gradient, plain, logits)


@every_loss
def test_shards_of_a_batch_are_the_whole(row):
    logits, labels, weights, cotangent = example(row, shape=(8, 5, 6))
    numbers = {name: jnp.asarray(values[0], jnp.float32) for name, values in row.numbers.items()}
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    batch, everywhere = jax.sharding.PartitionSpec("batch"), jax.sharding.PartitionSpec()

    def both(z, y, w, g, numbers):
        return pull(lambda z: row.loss(z, y, weights=w, **numbers), z, g)

    sharded = jax.jit(
        jax.shard_map(both, mesh=mesh, in_specs=(batch,) * 4 + (everywhere,), out_specs=(batch, batch))
    )
    arguments = logits, labels, weights, cotangent, numbers
    for actual, wanted in zip(sharded(*arguments), jax.jit(both)(*arguments), strict=True):
        assert_close(actual, wanted, logits)


@every_loss
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_float32_on_the_same_logits(row, dtype):
    logits, labels, weights, cotangent = example(row)
    rounded = jnp.asarray(logits, dtype)

    value, gradient = row.both(rounded, labels, weights, cotangent)
    value32, gradient32 = row.both(rounded.astype(jnp.float32), labels, weights, cotangent)
    assert value.dtype == jnp.float32
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(value, value32)
    np.testing.assert_array_equal(gradient, gradient32.astype(dtype))


@every_loss
def test_double_precision_stays_double(row):
    logits, labels, weights, cotangent = example(row)
    with jax.enable_x64(True):
        value, gradient = jax.jit(
            lambda z: pull(lambda z: row.loss(z, labels, weights=weights), z, cotangent)
        )(logits.astype(np.float64))
        assert value.dtype == gradient.dtype == jnp.float64
    value64, gradient64 = expected(row, logits, labels, weights, cotangent)
    unit = 1e-6 if row.mask_inside else 1e-13
    assert_close(value, value64, logits, unit)
    assert_close(gradient, gradient64, logits, unit)


@every_loss
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int64])
def test_labels_of_any_integer_type_are_the_same(row, dtype):
    logits, labels, _, _ = example(row)
    labels = np.where(formulas.valid(labels, 3), labels, 100)
    for array in (np.asarray, jnp.asarray):
        other = row.loss(array(logits), array(labels.astype(dtype)))
        np.testing.assert_array_equal(other, row.loss(logits, labels))


@every_number
def test_a_traced_number_is_the_python_number_without_a_second_trace_and_under_vmap(row, name):
    logits, labels, weights, cotangent = example(row)
    traces = []

    def both(number):
        return pull(lambda z: row.loss(z, labels, weights=weights, **{name: number}), logits, cotangent)

    @jax.jit
    def traced(number):
        traces.append(number)
        return both(number)

    wanted = [both(number) for number in row.numbers[name]]
    numbers = jnp.asarray(row.numbers[name], jnp.float32)
    together = zip(*jax.jit(jax.vmap(both))(numbers), strict=True)
    for number, by_hand, mapped in zip(numbers, wanted, together, strict=True):
        for actual, expected in zip((*traced(number), *mapped), by_hand * 2, strict=True):
            assert_close(actual, expected, logits)
    assert len(traces) == 1


@pytest.mark.parametrize("row", [r for r in ROWS if r.numbers], ids=lambda row: row.name)
def test_numbers_are_constants_to_differentiation(row):
    logits, labels, weights, _ = example(row)
    numbers = {name: jnp.asarray(values[0], jnp.float32) for name, values in row.numbers.items()}
    slopes = jax.jit(jax.grad(lambda n: jnp.sum(row.loss(logits, labels, weights=weights, **n))))(numbers)
    assert all((slope == 0).all() for slope in slopes.values())


@every_loss
def test_every_platform_can_run_it(row):
    logits, labels, weights, cotangent = example(row)

    exported = jax.export.export(row.both, platforms=("cpu", "cuda", "tpu"))
    assert exported(logits, labels, weights, cotangent).platforms == ("cpu", "cuda", "tpu")


@every_loss
def test_any_labels_are_those_of_the_formula(row):
    logits, labels, _, cotangent = example(row, shape=(1, 4, 5))

    ones = np.ones(labels.shape[:3], np.float32)

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(arrays(np.int8, labels.shape, elements=st.sampled_from([-1, 0, 0, 1, 2, 3])))
    def check(labels):
        value, gradient = row.both(logits, labels, ones, cotangent)
        value64, gradient64 = expected(row, logits, labels, None, cotangent)
        assert_close(value, value64, logits)
        assert_close(gradient, gradient64, logits)

    check()


@every_loss
@settings(max_examples=8, deadline=None, derandomize=True)
@given(lead=st.lists(st.integers(0, 3), max_size=3), size=st.tuples(*[st.integers(1, 9)] * 2), data=st.data())
def test_a_map_has_the_shape_of_the_pixels(row, lead, size, data):
    num_classes = data.draw(st.integers(1 if row.multilabel else 2, 6))
    logits = jax.ShapeDtypeStruct((*lead, *size, num_classes), data.draw(st.sampled_from(["f2", "f4"])))
    labels = jax.ShapeDtypeStruct(logits.shape if row.multilabel else logits.shape[:-1], jnp.uint8)
    cost = jax.eval_shape(row.loss, logits, labels)
    assert (cost.shape, cost.dtype) == (logits.shape[:-1], jnp.float32)


@every_loss
def test_float32_logits_give_a_float32_map_in_double_precision_mode(row):
    arguments = example(row)
    with jax.enable_x64(True):
        value, gradient = jax.eval_shape(row.both, *arguments)
    assert value.dtype == gradient.dtype == jnp.float32


@every_loss
def test_forward_mode_is_refused_by_custom_gradients_and_agrees_elsewhere(row):
    logits, labels, weights, cotangent = example(row)

    @jax.jit
    def forward(direction):
        return jax.jvp(lambda z: row.loss(z, labels, weights=weights), (logits,), (direction,))[1]

    if row.reverse_only:
        with pytest.raises(TypeError, match="custom_vjp"):
            forward(logits)
    else:
        along = np.vdot(row.both(logits, labels, weights, cotangent)[1], logits)
        assert_close(np.vdot(forward(logits), cotangent), along, logits, unit=1e-5)


@every_multilabel_loss
def test_weights_of_entries_are_those_of_the_formula(row):
    logits, labels, _, cotangent = example(row)
    by_entry = np.random.default_rng(1).uniform(0, 2, labels.shape).astype(np.float32)
    by_entry[~formulas.valid(labels, 2)] = np.nan
    check(Case(row, 3, {}), logits, labels, by_entry, cotangent)


SOFTMAX_TWINS = {
    "sigmoid_truncated_cross_entropy": losses.softmax_truncated_cross_entropy,
    "sigmoid_focal_loss": losses.softmax_focal_loss,
    "sigmoid_balanced_loss": losses.balanced_loss,
}


@every_multilabel_loss
def test_each_entry_is_a_two_class_image_of_its_own(row):
    logits, labels, _, _ = example(row)

    @jax.jit
    def alone(z, y):
        return SOFTMAX_TWINS[row.name](jnp.stack([jnp.zeros_like(z), z], axis=-1), y)

    costs = [alone(logits[..., k], labels[..., k]) for k in range(3)]
    number = np.maximum(formulas.valid(labels, 2).sum(-1), 1)
    assert_close(
        row.both(logits, labels, np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32))[0],
        sum(costs) / number,
    )
