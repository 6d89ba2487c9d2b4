"""Memory traffic of a compiled program, counted from the text of its HLO.

An instruction reads its operands and writes its result. Instructions inside a fusion move nothing; a fusion
reads of each operand what its instructions take of it, which is less than all where they only slice. An
update in place moves the update alone. The body of a loop counts as often as it runs, where the text tells
how often, and once where it does not. A conditional counts its costliest branch, a sort one pass over its
operands, however many passes its kernels make. The workspace that a call of cuBLAS or cuDNN is lent is
memory, which it need not move.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier"}
FREE |= {"partition-id", "replica-id"}
"""Operations that move nothing."""
RENAMING = {"bitcast", "copy", "convert"}
"""Operations behind which a scalar is looked for."""


class Traffic(NamedTuple):
    """What a program moves."""

    bytes: int
    once: int
    """The bytes if every loop ran once."""
    kernels: int
    """Instructions that move something, those in a loop as often as they run."""
    loops: tuple[int | None, ...]
    """How often each loop runs, from the outermost inwards; None where the text does not tell."""
    sorts: int
    """Number of sorts."""


class Instruction(NamedTuple):
    """A line of a computation."""

    name: str
    bytes: int
    """Size of the result; a tuple has that of its elements."""
    operation: str
    operands: tuple[str, ...]
    literal: str
    """What stands in the parentheses: the value of a constant, the number of a parameter."""
    attributes: str

    def called(self, *roles: str) -> list[str]:
        """Return the names of the computations that an attribute such as `calls` or `body` refers to."""
        lists = re.findall(rf"\b(?:{'|'.join(roles)})=(?:\{{([^}}]*)\}}|(%?[\w.\-]+))", self.attributes)
        return [name.strip(" %") for several, one in lists for name in (several or one).split(",")]


@dataclass
class Computation:
    """The instructions of a computation by name; the last one is its root."""

    instructions: dict[str, Instruction]
    root: Instruction

    def users(self, name: str) -> Iterator[Instruction]:
        """Yield the instructions that take a value, looking through bitcasts."""
        for user in self.instructions.values():
            if name in user.operands:
                if user.operation == "bitcast":
                    yield from self.users(user.name)
                else:
                    yield user


def traffic(text: str) -> Traffic:
    """Return what the entry computation of a compiled module moves."""
    computations = parse(text)
    return _of_computation(computations, computations[""])


def array_bytes(shapes: str) -> int:
    """Return the bytes of all arrays that a type names, without padding."""
    return sum(
        math.prod(int(side) for side in sides.split(",") if side) * _bits(kind) // 8
        for kind, sides in re.findall(r"\b(pred|bf16|[sufc]\d+\w*)\[([\d,]*)\]", shapes)
    )


def _bits(kind: str) -> int:
    digits = re.search(r"\d+", kind)
    return int(digits[0]) if digits else 8  # pred


def parse(text: str) -> dict[str, Computation]:
    """Return the computations of a module by name; that of the entry has the name ''."""
    computations = {}
    pattern = r"^(ENTRY )?%?([\w.\-]+) \([^\n]*\{\n(.*?)^\}"
    for entry, name, body in re.findall(pattern, text, re.DOTALL | re.MULTILINE):
        lines = {line.name: line for line in map(_instruction, body.splitlines()) if line}
        root = re.search(r"^ *ROOT %?([\w.\-]+) = ", body, re.MULTILINE)
        if root:
            computations["" if entry else name] = Computation(lines, lines[root[1]])
    return computations


def _instruction(line: str) -> Instruction | None:
    found = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)", line)
    if not found:
        return None
    name, shapes, operation, rest = found.groups()
    inside, attributes = _split_at_parenthesis(rest)
    if re.search(r'custom_call_target="__cu(blas|dnn)\$', attributes):
        shapes = re.sub(r", [su]8\[\d+\]\{0\}\)$", ")", shapes)  # the workspace is the last of the results
    operands = re.findall(r"%([\w.\-]+)", inside)
    return Instruction(name, array_bytes(shapes), operation, tuple(operands), inside, attributes)


def _split_at_parenthesis(text: str) -> tuple[str, str]:
    """Split behind the parenthesis that closes the operands."""
    depth = 1
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[:position], text[position + 1 :]
    return text, ""


def _of_computation(computations: dict[str, Computation], computation: Computation) -> Traffic:
    parts = [_of_instruction(computations, computation, line) for line in computation.instructions.values()]
    return Traffic(
        sum(part.bytes for part in parts),
        sum(part.once for part in parts),
        sum(part.kernels for part in parts),
        sum((part.loops for part in parts), ()),
        sum(part.sorts for part in parts),
    )


def _of_instruction(
    computations: dict[str, Computation], computation: Computation, line: Instruction
) -> Traffic:
    if line.operation == "while":
        inner = [
            _of_computation(computations, computations[name]) for name in line.called("body", "condition")
        ]
        trips = _trips(computations, computation, line)
        times = 1 if trips is None else trips
        return Traffic(
            times * sum(part.bytes for part in inner),
            sum(part.once for part in inner),
            times * sum(part.kernels for part in inner),
            (trips, *(loop for part in inner for loop in part.loops)),
            sum(part.sorts for part in inner),
        )
    if line.operation == "conditional":
        branches = line.called("branch_computations", "true_computation", "false_computation")
        return max(_of_computation(computations, computations[name]) for name in branches)
    if line.operation in ("call", "async-start"):
        return _of_computation(computations, computations[line.called("calls", "to_apply")[0]])
    # The start of an asynchronous operation counts, and AllocateBuffer only names memory.
    if line.operation in FREE or line.operation.endswith("-done") or "AllocateBuffer" in line.attributes:
        return Traffic(0, 0, 0, (), 0)
    sorts = 0
    if line.operation == "fusion":
        fused = computations[line.called("calls")[0]]
        sorts = sum(inner.operation == "sort" for inner in fused.instructions.values())
        moved = _read_by_fusion(computation, line, fused) + _written(fused, fused.root)
    elif line.operation == "copy-start":
        moved = line.bytes  # of the tuple of destination and source
    else:
        sorts = int(line.operation == "sort")
        moved = _read(computation, line) + _written(computation, line)
    return Traffic(moved, moved, 1, (), sorts)


def _read(computation: Computation, line: Instruction) -> int:
    """Return the bytes that an instruction outside fusions reads."""
    sizes = {name: computation.instructions[name].bytes for name in line.operands}
    for name in sizes:
        sizes[name] = min(sizes[name], _taken(computation, line, name))
    return sum(sizes.values())


def _read_by_fusion(computation: Computation, line: Instruction, fused: Computation) -> int:
    """Return the bytes that the instructions of a fusion take of its operands."""
    taken = dict.fromkeys(line.operands, 0)
    for parameter in fused.instructions.values():
        if parameter.operation == "parameter":
            users = fused.users(parameter.name)
            needed = sum(_taken(fused, user, parameter.name) for user in users)
            taken[line.operands[int(parameter.literal)]] += min(parameter.bytes, needed)
    return sum(min(size, computation.instructions[name].bytes) for name, size in taken.items())


def _taken(computation: Computation, user: Instruction, name: str) -> int:
    """Return the bytes that an instruction takes of an operand, or of what a bitcast of the operand is."""
    first = user.operands[0]
    while first != name and computation.instructions[first].operation == "bitcast":
        first = computation.instructions[first].operands[0]
    if first == name:
        if user.operation in ("slice", "dynamic-slice", "gather"):
            return user.bytes
        if user.operation in ("dynamic-update-slice", "scatter"):
            return 0  # updated in place
    return computation.instructions[name].bytes


def _written(computation: Computation, line: Instruction) -> int:
    """Return the bytes that the root of a fusion, or an instruction outside, writes."""
    if line.operation == "tuple":
        return sum(_written(computation, computation.instructions[name]) for name in line.operands)
    if line.operation == "bitcast":
        return _written(computation, computation.instructions[line.operands[0]])
    if line.operation in ("dynamic-update-slice", "scatter"):
        update = line.operands[1 if line.operation == "dynamic-update-slice" else -1]
        return computation.instructions[update].bytes
    return line.bytes


def _trips(computations: dict[str, Computation], computation: Computation, loop: Instruction) -> int | None:
    """Return how often a loop runs: what the compiler notes, or the limit of a counter that grows by one."""
    noted = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attributes)
    if noted:
        return int(noted[1])
    condition, body = (computations[loop.called(role)[0]] for role in ("condition", "body"))
    carried = computation.instructions[loop.operands[0]]
    if condition.root.operation != "compare" or "direction=LT" not in condition.root.attributes:
        return None
    counter, limit = (condition.instructions[name] for name in condition.root.operands)
    index = _index(counter)
    if index is None or body.root.operation != "tuple" or carried.operation != "tuple":
        return None
    step = _increment(body, body.instructions[body.root.operands[index]], index)
    start = _constant(computation, computation.instructions[carried.operands[index]])
    last = _constant(condition, limit)
    if last is None and (carried_limit := _index(limit)) is not None:
        last = _constant(computation, computation.instructions[carried.operands[carried_limit]])
    return None if step != 1 or start is None or last is None else max(last - start, 0)


def _index(line: Instruction) -> int | None:
    found = re.search(r"\bindex=(\d+)", line.attributes) if line.operation == "get-tuple-element" else None
    return int(found[1]) if found else None


def _increment(body: Computation, line: Instruction, index: int) -> int | None:
    """Return what a line adds to the element of the loop's tuple."""
    if line.operation != "add":
        return None
    terms = [body.instructions[name] for name in line.operands]
    if not any(_index(term) == index for term in terms):
        return None
    return next((number for term in terms if (number := _constant(body, term)) is not None), None)


def _constant(computation: Computation, line: Instruction) -> int | None:
    while line.operation in RENAMING:
        line = computation.instructions[line.operands[0]]
    if line.operation != "constant" or not re.fullmatch(r"-?\d+", line.literal):
        return None
    return int(line.literal)
