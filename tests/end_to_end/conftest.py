"""A run that the tests share."""

import pytest

from tests.end_to_end.runs import command
from train.__main__ import main


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def run(tmp_path_factory, prepared):
    """A run that nothing disturbed."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert main(command(path, prepared)) == 0
    return path
