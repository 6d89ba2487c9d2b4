"""The battery under jit, vmap, scan and sharding, in half and double precision."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from tests.balanced_jax import formulas
from tests.balanced_jax.losses.examples import SHAPE, example, expected, value_and_vjp
from tests.balanced_jax.losses.table import ROWS
from tests.balanced_jax.tolerance import assert_close
from tests.balanced_jax.x64 import enable_x64

every_loss = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
FEW = ("softmax_truncated_cross_entropy", "balanced_loss", "dice_loss", "sigmoid_focal_loss")
"""A map with branches, a mask made inside, a loss of regions and one of several labels a pixel."""
few_losses = pytest.mark.parametrize(
    "row",
    [pytest.param(r, id=r.name, marks=() if r.name in FEW else pytest.mark.slow) for r in ROWS],
)
every_number = pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(r, n, id=f"{r.name}-{n}", marks=() if k == 0 else pytest.mark.slow)
        for r in ROWS
        for k, n in enumerate(r.numbers)
    ],
)


@few_losses
def test_jit_vmap_and_a_loop_are_the_eager_call(row):
    arguments = example(row)

    def both(z, y, w, g):
        return value_and_vjp(lambda z: row.loss(z, y, weights=w), z, g)

    eager = both(*arguments)
    others = [
        row.both(*arguments),
        jax.jit(jax.vmap(both))(*arguments),
        [jnp.stack(images) for images in zip(*map(row.both, *arguments), strict=True)],
        [value[0] for value in row.both(*(a[None] for a in arguments))],
    ]
    for other in others:
        for actual, reference in zip(other, eager, strict=True):
            assert_close(actual, reference, arguments[0])


@few_losses
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
        return value_and_vjp(lambda z: row.loss(z, y, weights=w, **numbers), z, g)

    sharded = jax.jit(
        jax.shard_map(both, mesh=mesh, in_specs=(batch,) * 4 + (everywhere,), out_specs=(batch, batch))
    )
    arguments = logits, labels, weights, cotangent, numbers
    for actual, reference in zip(sharded(*arguments), jax.jit(both)(*arguments), strict=True):
        assert_close(actual, reference, logits)


@every_loss
@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
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
    with enable_x64(True):
        value, gradient = jax.jit(
            lambda z: value_and_vjp(lambda z: row.loss(z, labels, weights=weights), z, cotangent)
        )(logits.astype(np.float64))
        assert value.dtype == gradient.dtype == jnp.float64
    value64, gradient64 = expected(row, logits, labels, weights, cotangent)
    unit = 1e-6 if row.mask_inside else 1e-13
    assert_close(value, value64, logits, unit)
    assert_close(gradient, gradient64, logits, unit)


@every_loss
@pytest.mark.parametrize(
    "dtype",
    [np.uint8, np.int64, *(pytest.param(d, marks=pytest.mark.slow) for d in (np.int8, np.int16, np.uint32))],
)
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
        return value_and_vjp(
            lambda z: row.loss(z, labels, weights=weights, **{name: number}), logits, cotangent
        )

    @jax.jit
    def traced(number):
        traces.append(number)
        return both(number)

    references = [both(number) for number in row.numbers[name]]
    numbers = jnp.asarray(row.numbers[name], jnp.float32)
    together = zip(*jax.jit(jax.vmap(both))(numbers), strict=True)
    for number, eager, mapped in zip(numbers, references, together, strict=True):
        for actual, reference in zip((*traced(number), *mapped), eager * 2, strict=True):
            assert_close(actual, reference, logits)
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
def test_float32_logits_give_a_float32_map_in_double_precision_mode(row):
    arguments = example(row)
    with enable_x64(True):
        value, gradient = jax.eval_shape(row.both, *arguments)
    assert value.dtype == gradient.dtype == jnp.float32


@every_loss
def test_forward_mode_agrees_with_reverse_mode(row):
    logits, labels, weights, cotangent = example(row)

    @jax.jit
    def forward(direction):
        return jax.jvp(lambda z: row.loss(z, labels, weights=weights), (logits,), (direction,))[1]

    along = np.vdot(row.both(logits, labels, weights, cotangent)[1], logits)
    assert_close(np.vdot(forward(logits), cotangent), along, logits, unit=1e-5)
