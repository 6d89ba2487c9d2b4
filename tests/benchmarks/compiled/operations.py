"""Operations in products, counted from a function as JAX traces it: the same for every chip."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

Operations = Counter[str]
"""Operations by type of their operands: a multiplication and an addition count as two."""


def operations(function: Callable, arguments: tuple[Any, ...], axis: tuple[str, int]) -> Operations:
    """Return the operations in convolutions and matrix products of floating-point numbers.

    Taps on padding count, zeros between the pixels of a dilated operand do not. Of a conditional the branch
    with most operations counts, of a loop without a known length one turn.

    Args:
        function: of `arguments`, which may be abstract.
        arguments: those of one device.
        axis: name and size of the axis that the function is mapped over.
    """
    return _of_jaxpr(jax.make_jaxpr(function, axis_env=[axis])(*arguments).jaxpr)


def _of_jaxpr(jaxpr: Any) -> Operations:
    total: Operations = Counter()
    for equation in jaxpr.eqns:
        inner = [_of_jaxpr(part) for part in _parts(equation.params)]
        if equation.primitive.name == "cond":
            total += max(inner, key=Counter.total)
            continue
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for counts in inner:
            total += Counter({dtype: times * count for dtype, count in counts.items()})
        total += _product(equation)
    return total


def _parts(parameters: dict[str, Any]) -> Iterator[Any]:
    """Yield the programs that the parameters of an equation hold."""
    for several in parameters.values():
        for value in several if isinstance(several, tuple | list) else [several]:
            jaxpr = getattr(value, "jaxpr", value)
            if hasattr(jaxpr, "eqns"):
                yield jaxpr


def _product(equation: Any) -> Operations:
    parameters = equation.params
    if equation.primitive.name == "conv_general_dilated":
        operand, numbers = equation.invars[1].aval, parameters["dimension_numbers"]
        taps = operand.size // operand.shape[numbers.rhs_spec[0]]
        dilation = math.prod(parameters["lhs_dilation"])
    elif equation.primitive.name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        operand = equation.invars[0].aval
        taps, dilation = math.prod(operand.shape[axis] for axis in contracted), 1
    else:
        return Counter()
    if not jnp.issubdtype(operand.dtype, jnp.floating):
        return Counter()
    return Counter({str(operand.dtype): 2 * equation.outvars[0].aval.size * taps // dilation})
