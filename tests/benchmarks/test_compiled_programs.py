"""The plain formulations that `tests.benchmarks.compiled` compares with compute what the library computes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.benchmarks.compiled import programs
from tests.benchmarks.compiled.programs import Selection

pytestmark = pytest.mark.slow

CLASSES = 3
ROWS = {
    row.name: row
    for row in programs.rows(
        Selection(("losses", "masks", "metrics"), classes=(CLASSES,), dtype=("float32",)), "tpu"
    )
}


def filled(argument: jax.ShapeDtypeStruct, rng: np.random.Generator) -> jax.Array:
    """Return an array of a shape and type: errors, weights and logits in 0 to 1, labels and flags."""
    shape = (2, 20, 24, *argument.shape[3:]) if len(argument.shape) > 1 else argument.shape
    if jnp.issubdtype(argument.dtype, jnp.floating):
        return jnp.asarray(rng.uniform(size=shape), argument.dtype)
    return jnp.asarray(rng.integers(0, CLASSES if len(shape) == 3 else 2, shape), argument.dtype)


@pytest.mark.parametrize("name", ROWS)
def test_the_plain_formulation_computes_the_same(name):
    made: dict[str, Any] = ROWS[name].make()
    rng = np.random.default_rng(0)
    arguments = [filled(argument, rng) for argument in made["library"].arguments]
    with jax.numpy_rank_promotion("allow"):  # textbook code relies on it
        results = [jax.tree.leaves(jax.jit(made[side].function)(*arguments)) for side in ("library", "plain")]
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(ours, float), np.asarray(plain, float), rtol=1e-3, atol=1e-6)


def test_the_augmentation_can_be_traced_and_keeps_shapes():
    (row,) = programs.augmentation_rows(4)
    for program in row.make().values():
        image, label, *_ = jax.eval_shape(program.function, *program.arguments)
        assert (image.shape, label.shape) == tuple(x.shape for x in program.arguments[1:])
