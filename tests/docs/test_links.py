"""Every relative link points at a file that is there, and at an anchor that the file has."""

from urllib.parse import unquote

import pytest

from tests.docs.pages import DOCS, GENERATED, PAGES, ROOT, SITE, anchors, links, name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        file = (page.parent / path).resolve() if path else page
        # The build of the site finds a picture that is not generated.
        if "://" in link or link.startswith("mailto:") or file.parent == GENERATED:
            continue
        # Sphinx knows no Markdown outside of the site; a page of the site includes it.
        inside = DOCS if page in SITE and file.suffix == ".md" else ROOT
        there = file.is_relative_to(inside) and file.exists()
        if not there or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(link)
    assert not broken
