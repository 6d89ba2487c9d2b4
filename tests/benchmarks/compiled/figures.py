"""The figures of compiled programs, and how they are got from the environment of the compilers."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.benchmarks.compiled import environment
from tests.benchmarks.compiled.programs import Selection
from tests.benchmarks.compiled.targets import TARGETS, Name, variables


@dataclass(frozen=True)
class Figure:
    """The figures of a program, of one device where it is mapped over several."""

    target: Name
    what: str
    name: str
    classes: int | None
    dtype: str
    side: str
    """Whose program it is: "library", "plain" or "optax"."""
    bytes: int = 0
    """Bytes moved: for a TPU the compiler's count, and what loops add to it by the text; otherwise the
    text's."""
    kernels: int = 0
    """Instructions of the program that move something, those in loops as often as they run."""
    loops: list[int | None] = field(default_factory=list)
    """How often each loop runs; None where the text does not tell."""
    sorts: int = 0
    temporary: int = 0
    """Bytes of intermediate results."""
    donated: int = 0
    """Bytes of arguments whose memory results take over."""
    operations: dict[str, float] = field(default_factory=dict)
    """Operations in products, as `tests.benchmarks.compiled.operations` counts them."""
    seconds: float = 0
    """Processor time to compile, which other work on the machine does not change; several threads take less
    time than this."""
    refusal: str = ""
    """What the compiler says where it makes no program, such as that memory does not suffice."""

    @property
    def product_time(self) -> float:
        """Return the seconds that the products take at the peak of the chip."""
        peak = TARGETS[self.target].peak or {}
        return sum(count / peak[dtype] for dtype, count in self.operations.items())

    @property
    def roofline_time(self) -> float:
        """Return the seconds that the program takes at least, bound by its bytes or by its products."""
        return max(self.bytes / TARGETS[self.target].bandwidth, self.product_time)


def compute(target: Name, selections: Iterable[Selection]) -> Iterator[Figure]:
    """Yield the figures of the selected programs as they are compiled, in the environment of the compilers.

    Raises:
        RuntimeError: the process that compiles has failed; what it printed says why.
    """
    chosen = json.dumps([dataclasses.asdict(selection) for selection in selections])
    worker = environment.run("tests.benchmarks.compiled.worker", target, chosen, variables=variables(target))
    with worker as process:
        for line in process.stdout or ():
            yield Figure(**json.loads(line))
    if process.returncode:
        raise RuntimeError(f"the compilation for {target} has failed with exit code {process.returncode}")
