"""Every relative link points at a file that is there, and at an anchor that the file has."""

from urllib.parse import unquote

import pytest

from docs.generate import reference
from tests.docs.pages import PAGES, ROOT, anchors, links, name


@pytest.fixture(scope="module", autouse=True)
def generated():
    """What pages include of the generated Markdown."""
    folder = ROOT / "docs" / "_generated"
    folder.mkdir(exist_ok=True)
    reference.write(folder)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link).partition("#")
        file = (page.parent / path).resolve() if path else page
        there = file.is_relative_to(ROOT) and file.exists()
        if not there or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(link)
    assert not broken
