"""A program lowered and compiled for a target, and its figures."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.benchmarks.compiled import hlo
from tests.benchmarks.compiled.operations import operations
from tests.benchmarks.compiled.programs import Program
from train.parallel import AXIS


def lower(program: Program, chips: list[Any]) -> Any:
    """Lower a program for the first of the devices, or mapped over all of them."""
    if program.mapping is None:
        everywhere = NamedSharding(Mesh(np.array(chips[:1]), ("x",)), PartitionSpec())
        jitted = jax.jit(program.function, in_shardings=everywhere, out_shardings=everywhere)
        return jitted.lower(*program.arguments)
    mapped: Any = jax.pmap(program.function, axis_name=AXIS, devices=chips, **program.mapping)

    def deal(argument: Any, axis: int | None) -> Any:
        if axis is None:
            return argument
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((len(chips), *x.shape), x.dtype), argument)

    return mapped.lower(*map(deal, program.arguments, program.mapping["in_axes"]))


def measure(program: Program, lowered: Any, chips: list[Any]) -> dict[str, Any]:
    """Compile a program and return its figures by their names in `Figure`, or the compiler's refusal."""
    start = _processor_seconds()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        return {"refusal": str(error).splitlines()[0][:100]}
    seconds = _processor_seconds() - start
    memory, analysis = compiled.memory_analysis(), compiled.cost_analysis()
    traffic = hlo.traffic(compiled.as_text())
    moved = traffic.bytes
    if analysis:  # the analysis counts the body of a loop once
        moved = int(analysis["bytes accessed"]) + traffic.bytes - traffic.once
    return {
        "bytes": moved,
        "kernels": traffic.kernels,
        "loops": traffic.loops,
        "sorts": traffic.sorts,
        "temporary": memory.temp_size_in_bytes,
        "donated": memory.alias_size_in_bytes,
        "operations": operations(program.function, program.arguments, (AXIS, len(chips))),
        "seconds": round(seconds, 2),
    }


def _processor_seconds() -> float:
    """Return the processor time of this process and of the compilers that it has started."""
    return sum(os.times()[:4])
