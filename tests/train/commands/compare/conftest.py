"""Comparisons of the tiny config whose training is stubbed."""

import pytest

from tests.tiny import TINY
from tests.train.commands.compare.made_up import finish
from train.__main__ import main
from train.commands.fit import Fit
from train.run import directory


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def compare(tmp_path, prepared):
    """Return a function that compares in a folder of this test, and returns the exit code."""

    def run(*flags: str) -> int:
        places = ["--out", str(tmp_path / "out"), "--data-dir", str(prepared)]
        return main(["compare", str(TINY), *places, *flags])

    return run


@pytest.fixture
def trained(monkeypatch):
    """Stub training: cells write made-up results or raise these errors."""
    names: list[str] = []
    errors: dict[str, Exception] = {}

    def fit(self: Fit) -> None:
        assert self.run_dir is not None
        names.append(self.run_dir.name)
        with directory.claim(self.run_dir):
            if error := errors.get(self.run_dir.name):
                raise error
            finish(self)

    monkeypatch.setattr(Fit, "run", fit)
    return names, errors
