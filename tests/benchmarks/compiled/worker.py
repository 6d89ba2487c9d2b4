"""Compile the selected programs for one target and print the figures of each as a line of JSON.

    python -m tests.benchmarks.compiled.worker TARGET '[{"what": ["losses"], ...}, ...]'

To be run in the environment of the compilers, with the environment variables of the target, by
`python -m tests.benchmarks.compiled`. Figures are kept beside the environment by a digest of the program, so
that what has not changed is not compiled again.
"""

import dataclasses
import hashlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.benchmarks.compiled import hlo
from tests.benchmarks.compiled.environment import ENVIRONMENT
from tests.benchmarks.compiled.figures import Figure
from tests.benchmarks.compiled.programs import Program, Row, Selection, rows
from tests.benchmarks.compiled.targets import Name, devices
from train.parallel import AXIS

KEPT = ENVIRONMENT / "figures"


def main(target: Name, selections: list[Selection]) -> None:
    chips = devices(target)
    for selection in selections:
        for row in rows(selection):
            if target == "cpu" and row.what != "seconds":
                continue
            for side, program in row.make().items():
                if side == "library" or not selection.alone:
                    print(
                        json.dumps(dataclasses.asdict(figure(target, chips, row, side, program))), flush=True
                    )


def figure(target: Name, chips: list[Any], row: Row, side: str, program: Program) -> Figure:
    """Return the figures of a program, those of an earlier run if it is the same program."""
    lowered = lower(program, chips)
    # Figures follow from the program and from the way they are counted.
    text = "\n".join([target, lowered.as_text(), Path(hlo.__file__).read_text(), Path(__file__).read_text()])
    path = KEPT / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(measure(lowered) | {"operations": operations_of(program, len(chips))}))
    return Figure(target, row.what, row.name, row.classes, row.dtype, side, **json.loads(path.read_text()))


def lower(program: Program, chips: list[Any]) -> Any:
    """Lower a program for the first of the devices, or mapped over all of them."""
    if program.mapping is None:
        everywhere = NamedSharding(Mesh(np.array(chips[:1]), ("x",)), PartitionSpec())
        jitted = jax.jit(program.function, in_shardings=everywhere, out_shardings=everywhere)
        return jitted.lower(*program.arguments)
    mapped: Any = jax.pmap(program.function, axis_name=AXIS, devices=chips, **program.mapping)

    def dealt(argument: Any, axis: int | None) -> Any:
        if axis is None:
            return argument
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((len(chips), *x.shape), x.dtype), argument)

    return mapped.lower(*map(dealt, program.arguments, program.mapping["in_axes"]))


def measure(lowered: Any) -> dict[str, Any]:
    """Compile a program and return its figures, or the compiler's refusal."""
    start = time.perf_counter()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        return {"refusal": str(error).splitlines()[0][:100]}
    seconds = time.perf_counter() - start
    memory, analysis = compiled.memory_analysis(), compiled.cost_analysis()
    traffic = hlo.traffic(compiled.as_text())
    moved = traffic.bytes
    if analysis:  # that of a TPU, which counts a loop once
        moved = int(analysis["bytes accessed"]) + traffic.bytes - traffic.once
    return {
        "bytes": moved,
        "kernels": traffic.kernels,
        "loops": traffic.loops,
        "sorts": traffic.sorts,
        "temporary": memory.temp_size_in_bytes,
        "donated": memory.alias_size_in_bytes,
        "seconds": round(seconds, 2),
    }


def operations_of(program: Program, devices: int) -> dict[str, float]:
    """Return the operations in products of a program on one device, by type of their operands."""
    closed = jax.make_jaxpr(program.function, axis_env=[(AXIS, devices)])(*program.arguments)
    return _operations(closed.jaxpr)


def _operations(jaxpr: Any) -> dict[str, float]:
    total: dict[str, float] = {}
    for equation in jaxpr.eqns:
        found = _product(equation)
        inner = [_operations(getattr(part, "jaxpr", part)) for part in _parts(equation.params)]
        if equation.primitive.name == "cond":
            found = max(inner, key=lambda counts: sum(counts.values()))
        else:
            times = equation.params["length"] if equation.primitive.name == "scan" else 1
            for counts in inner:
                for dtype, count in counts.items():
                    found[dtype] = found.get(dtype, 0) + times * count
        for dtype, count in found.items():
            total[dtype] = total.get(dtype, 0) + count
    return total


def _parts(parameters: dict[str, Any]) -> list[Any]:
    """Return the programs that the parameters of an equation hold."""
    values = [
        value
        for several in parameters.values()
        for value in (several if isinstance(several, tuple | list) else [several])
    ]
    return [value for value in values if hasattr(getattr(value, "jaxpr", value), "eqns")]


def _product(equation: Any) -> dict[str, float]:
    """Return the operations of a convolution or a matrix product, taps on padding included."""
    parameters = equation.params
    if equation.primitive.name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval, parameters["dimension_numbers"]
        taps = kernel.size / kernel.shape[numbers.rhs_spec[0]]
        # Zeros between the pixels of a dilated operand are not multiplied.
        taps /= math.prod(parameters["lhs_dilation"])
    elif equation.primitive.name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        kernel = equation.invars[0].aval
        taps = math.prod(kernel.shape[axis] for axis in contracted)
    else:
        return {}
    return {str(kernel.dtype): 2 * equation.outvars[0].aval.size * taps}


if __name__ == "__main__":
    chip: Any
    chip, chosen = sys.argv[1:]
    main(chip, [Selection(**selection) for selection in json.loads(chosen)])
