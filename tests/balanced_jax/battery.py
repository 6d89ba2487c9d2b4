"""What other programs do with a loss or a mask: the columns of `battery.md`, which this command writes.

python -m tests.balanced_jax.battery
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from balanced_jax import masks
from balanced_jax.losses import masked_mean
from tests.balanced_jax.blobs import ON_HOST
from tests.balanced_jax.formulas import valid
from tests.balanced_jax.losses.examples import example
from tests.balanced_jax.losses.table import ROWS, Row
from tests.balanced_jax.tolerance import assert_close
from tests.balanced_jax.x64 import enable_x64

PAGE = Path(__file__).with_name("battery.md")
SHAPE = (4, 8, 12)
Entry = Row | Callable[..., Any]
"""A loss, or a mask as a function of labels alone."""


CLASS_WEIGHTS = {"beta": 0.9, "counting": "pixels", "floor": 2.0, "relative": False, "power": 0.5}
CONFUSION = {"window": 3, "minimum": 0.1, "preserve_class_mass": True}
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "balance_mask": ({}, {**CLASS_WEIGHTS, **CONFUSION}),
    "class_weight_mask": ({}, CLASS_WEIGHTS),
    "confusion_mask": ({}, CONFUSION, {"method": "conv"}),
    "fixed_class_weights": ({"values": (1.0, 2.0, 3.0)},),
}
"""Options of masks, each in a row of its own."""
FLOATS, INTEGERS = (jnp.float32, jnp.bfloat16), (np.uint8, np.int32, np.uint32)


def label(name: str, options: dict[str, Any]) -> str:
    """Return the name of a row of the page."""
    return f"{name}({', '.join(f'{k}={v!r}' for k, v in options.items())})" if options else name


def loss_entries() -> dict[str, Entry]:
    """Return every loss, and every loss that has options with all of them switched on."""
    entries: dict[str, Entry] = {row.name: row for row in ROWS}
    for row in ROWS:
        for options in row.options[-1:]:
            with_options = functools.wraps(row.loss)(functools.partial(row.loss, **options))
            entries[label(row.name, options)] = dataclasses.replace(row, loss=with_options)
    return entries


def mask_entries() -> dict[str, Entry]:
    """Return every mask of three classes that can be compiled, and with each of its options."""
    return {
        label(name, options): functools.partial(getattr(masks, name), num_classes=3, **options)
        for name in masks.__all__
        if name not in ON_HOST
        for options in OPTIONS.get(name, ({},))
    }


ENTRIES: dict[str, Entry] = loss_entries() | mask_entries()


def program(entry: Entry) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a compiled function, map and gradient or mask, and its arguments."""
    if isinstance(entry, Row):
        return entry.both, example(entry, shape=SHAPE)
    return jax.jit(entry), (np.random.default_rng(0).integers(-1, 4, SHAPE, np.int32),)


def compare(actual: Any, expected: Any, unit: float = 1e-6) -> None:
    jax.tree.map(functools.partial(assert_close, logits=10.0, unit=unit), actual, expected)


def sharding(axis: int, explicit: bool) -> jax.sharding.NamedSharding:
    """Return the division of an axis over four devices."""
    if not hasattr(jax.sharding, "auto_axes"):
        pytest.skip("jax before 0.7 has no jax.sharding.auto_axes")
    types = jax.sharding.AxisType.Explicit if explicit else jax.sharding.AxisType.Auto
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(types,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*[None] * axis, "devices"))


def sharded(entry: Entry, axis: int, explicit: bool) -> None:
    """Values and gradients of arrays divided along an axis over devices are those of whole arrays."""
    function, arguments = program(entry)
    actual = function(*jax.device_put(arguments, sharding(axis, explicit)))
    compare(actual, function(*arguments))


def second_derivative(entry: Row) -> None:
    """Where every pixel is surely right, the second derivative is 0 in both modes."""
    logits, labels, weights, cotangent = example(entry, shape=(1, 4, 5))
    is_class = labels == 1 if entry.multilabel else labels[..., None] == np.arange(3)

    def gradient(z):
        return entry.both(z, labels, weights, cotangent)[1]

    forward = jax.jit(lambda z: jax.jvp(gradient, (z,), (logits,))[1])
    reverse = jax.jit(jax.grad(lambda z: jnp.vdot(gradient(z), logits)))
    for margin in (60, 87, 89, 104, 1e4):
        sure = np.where(is_class, margin, -margin).astype(np.float32)
        for curvature in (forward(sure), reverse(sure)):
            np.testing.assert_allclose(curvature, 0, atol=1e-12)


def symbolic_sizes(entry: Entry) -> None:
    """One exported program serves batches and images of any size."""
    function, arguments = program(entry)
    sizes = jax.export.symbolic_shape("batch, height, width")
    free = [jax.ShapeDtypeStruct((*sizes, *a.shape[3:]), a.dtype) for a in arguments]
    exported = jax.export.export(jax.jit(function), platforms=("cpu", "cuda", "tpu"))(*free)
    compare(exported.call(*arguments), function(*arguments))


def strict_promotion(entry: Entry) -> None:
    """Dtypes are never promoted without being asked, whatever those of logits and labels are."""
    function, arguments = program(entry)
    with jax.numpy_dtype_promotion("strict"):
        if isinstance(entry, Row):
            logits, labels, *others = arguments
            for float_type, label_type in itertools.product(FLOATS, INTEGERS):
                jax.eval_shape(function, jnp.asarray(logits, float_type), labels.astype(label_type), *others)
        else:
            for label_type in INTEGERS:
                jax.eval_shape(function, *(a.astype(label_type) for a in arguments))


def x64(entry: Entry) -> None:
    """In double precision mode, 64-bit labels whose low 32 bits are those of a class are void."""
    function, arguments = program(entry)
    place = 1 if isinstance(entry, Row) else 0
    far, near = [*arguments], [*arguments]
    labels = arguments[place].astype(np.int64)
    far[place], near[place] = np.where(labels == 1, 2**32 + 1, labels), np.where(labels == 1, -1, labels)
    with enable_x64(True):
        actual = function(*far)
    compare(actual, function(*near))


def empty_arrays(entry: Entry) -> None:
    """Without an image, a row or a column, the map is empty, and its mean is 0."""
    function, arguments = program(entry)
    for start in ((4, 0, 0), (0, 8, 0), (0, 0, 12)):
        outputs = function(*(a[tuple(slice(k, None) for k in start)] for a in arguments))
        cost = jax.tree.leaves(outputs)[0]
        assert cost.shape == tuple(n - k for n, k in zip(SHAPE, start, strict=True))
        assert masked_mean(cost.astype(jnp.float32)) == 0


def ruled_out_classes(entry: Row) -> None:
    """Where no class but the label has a finite logit, a pixel costs 0; a label of -inf makes no NaN."""
    logits, labels, weights, cotangent = example(entry)
    is_class = labels == 1 if entry.multilabel else labels[..., None] == np.arange(3)
    void = ~(valid(labels, 2).any(-1, keepdims=True) if entry.multilabel else valid(labels, 3)[..., None])
    right = np.where(is_class | void, logits, -np.inf)
    if entry.multilabel:  # a class that the pixel has is never certain
        right = np.where(is_class, 1e4, right)
    value, gradient = entry.both(right.astype(np.float32), labels, weights, cotangent)
    np.testing.assert_allclose(value, 0, atol=1e-30)
    np.testing.assert_allclose(gradient, 0, atol=1e-30)
    weights = np.where(weights > 0, weights, 1)
    value, gradient = entry.both(np.where(is_class, -np.inf, logits), labels, weights, cotangent)
    assert not jnp.isnan(value).any()
    assert jnp.isfinite(gradient).all()


def anything_at_void(entry: Row) -> None:
    """NaN and infinite logits of void pixels or entries change no value and no gradient."""
    for num_classes in (2, 3) if entry in ROWS else (3,):  # options may be numbers of three classes
        logits, labels, *others = example(entry, num_classes)
        void = ~(valid(labels, 2) if entry.multilabel else valid(labels, num_classes)[..., None])
        plain = entry.both(np.where(void, 0, logits), labels, *others)
        for value in (np.nan, np.inf, -np.inf):
            other = entry.both(np.where(void, np.float32(value), logits), labels, *others)
            jax.tree.map(np.testing.assert_array_equal, other, plain)


def no_infinities(entry: Entry) -> None:
    """Nothing on the way is infinite, as `jax.debug_infs` demands."""
    with jax.debug_infs(True), jax.debug_nans(True):
        if isinstance(entry, Row):
            logits, labels, weights, cotangent = example(entry, shape=(1, 3, 4))
            jax.vjp(lambda z: entry.loss(z, labels, weights=weights), logits)[1](cotangent)
        else:
            entry(np.array([[0, 1, -1], [2, 1, 1]]))


COLUMNS: dict[str, Callable[[Any], None]] = {
    "batch, Auto": functools.partial(sharded, axis=0, explicit=False),
    "rows, Auto": functools.partial(sharded, axis=1, explicit=False),
    "batch, Explicit": functools.partial(sharded, axis=0, explicit=True),
    "rows, Explicit": functools.partial(sharded, axis=1, explicit=True),
    "second derivative": second_derivative,
    "symbolic sizes": symbolic_sizes,
    "strict promotion": strict_promotion,
    "x64": x64,
    "empty": empty_arrays,
    "-inf": ruled_out_classes,
    "void": anything_at_void,
    "debug_infs": no_infinities,
}
OF_LOGITS = ("second derivative", "-inf", "void")
CELLS = [
    (name, column)
    for name, entry in ENTRIES.items()
    for column in COLUMNS
    if isinstance(entry, Row) or column not in OF_LOGITS
]
"""Each is a test."""

HEADER = """# The battery of losses and masks in other programs

Written by `python -m tests.balanced_jax.battery`; each cell is a test of `test_battery.py` beside it.

- batch, rows: inputs divided over four devices along the batch or the rows, under `jax.jit`, give the values
  and gradients of whole arrays, on meshes with axes of the type Auto or Explicit.
- second derivative: 0, in forward and reverse mode, where pixels are surely right (margins from 60 to 1e4).
- symbolic sizes: exported once with free batch, height and width, for CPU, CUDA and TPU.
- strict promotion: under `jax.numpy_dtype_promotion("strict")`, for logits in float32 and bfloat16 and labels
  in uint8, int32 and uint32.
- x64: 64-bit labels beyond 32 bits are void.
- empty: no image, no row or no column gives an empty map, whose mean is 0.
- -inf: a pixel costs 0 where only its label has a finite logit; a label with a logit of -inf makes no NaN.
- void: logits of NaN and infinity at void pixels change no value and no gradient.
- debug_infs: nothing infinite or NaN on the way, under `jax.debug_infs` and `jax.debug_nans`. Thresholds of 0
  and 1 raise a FloatingPointError there: their log odds are infinite.

Losses and masks that have options have a row, too, in which all of them are switched on.

Masks have no logits, so three columns do not apply to them. `inverse_weight_mask` and `skeleton_mask` run in
NumPy on the host. Losses with probabilities have no rows.

"""


def page() -> str:
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    rows += [[f"`{n}`", *("yes" if (n, c) in CELLS else "" for c in COLUMNS)] for n in ENTRIES]
    return HEADER + "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(page())
