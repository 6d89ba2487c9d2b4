"""What the programs of the library move and keep on a TPU and a GPU must not change unseen."""

import pytest

from tests.benchmarks.compiled import environment, exact
from tests.benchmarks.compiled.targets import Name

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not environment.is_made(),
        reason="the compilers are not installed: python -m tests.benchmarks.compiled --install",
    ),
]


@pytest.mark.parametrize("target", exact.CHIPS)
def test_programs_move_and_keep_what_the_checked_in_figures_say(target: Name):
    figures, expected = exact.exact_figures(target), exact.read(target)
    changed = {
        name: (expected.get(name), figures.get(name))
        for name in {**expected, **figures}
        if expected.get(name) != figures.get(name)
    }
    assert not changed, f"was and is; if that is meant to be: {exact.COMMAND}"
