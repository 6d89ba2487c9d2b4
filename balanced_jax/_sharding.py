"""Operations whose result has no obvious sharding, under mesh axes of the type Explicit."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array


def shard_automatically(
    function: Callable[..., Any], array: Array, *others: Array | None, axes: int | None = None
) -> Any:
    """Return function(array, *others), in which the compiler chooses shardings as under Auto mesh axes.

    Under Explicit axes JAX refuses windows, sorts and reshapes of divided axes whose sharding is not stated.
    The first `axes` axes of the result, or all, are divided as those of the array.
    """
    if not hasattr(jax.sharding, "auto_axes"):  # jax before 0.7, whose Explicit axes are not served
        return function(array, *others)
    sharding = jax.typeof(array).sharding
    explicit = sharding.mesh.explicit_axes
    if not explicit:
        return function(array, *others)
    result = NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[:axes]))
    return jax.sharding.auto_axes(function, axes=explicit, out_sharding=result)(array, *others)
