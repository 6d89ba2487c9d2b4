"""Every Python block of the site runs, in the order of its page.

A page is one test: pytest-xdist may give neighboring tests to different processes, and blocks need the names
of those above them. The README's blocks are doctests (`--doctest-glob`), which also run from the built wheel.
"""

import jax
import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

from tests.docs.pages import SITE, name

SYBIL = Sybil([PythonCodeBlockParser()])
PAGES = [page for page in SITE if "```python" in page.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    document = SYBIL.parse(page)
    monkeypatch.chdir(tmp_path)  # for blocks that write files
    with jax.numpy_rank_promotion("allow"):  # as for a reader; the suite is stricter
        for example in document.examples():
            example.evaluate()
