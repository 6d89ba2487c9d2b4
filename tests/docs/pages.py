"""The pages that a reader opens: files in Markdown, and what they link to."""

import functools
import itertools
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from docs.generate import reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = DOCS / "_generated"
SITE = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "_generated"} & {*path.parts})
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *SITE]

_INCLUDE = re.compile(r"^[`:]{3,}\{include\} +(\S+)", re.MULTILINE)
_TARGET = re.compile(r"^\((\S+)\)=$", re.MULTILINE)


def name(path: Path) -> str:
    """Return the path of a page from the root of the project."""
    return path.relative_to(ROOT).as_posix()


def links(path: Path) -> list[str]:
    """Return the targets of the links and pictures of a page."""
    found = []
    for token in _tokens(_text(path)):
        for child in token.children or ():
            target = child.attrGet("href" if child.type == "link_open" else "src")
            found += [str(target)] if target else []
    return found


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page: its headings as GitHub and MyST name them, and named targets."""
    text = _text(path)
    found = {*_TARGET.findall(text)}
    for opening, inline in itertools.pairwise(_tokens(text)):
        if opening.type == "heading_open":
            heading = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
            found.add(f"{slug}-1" if slug in found else slug)
    for included in _INCLUDE.findall(text):
        file = (path.parent / included).resolve()
        found |= anchors(file) if file.suffix == ".md" else set()
    return found


@functools.cache
def _generated() -> dict[str, str]:
    return reference.pages()


def _text(path: Path) -> str:
    """Return the text of a page, or what the site generates in its place."""
    return _generated().get(path.name, "") if path.parent == GENERATED else path.read_text()


def _tokens(text: str) -> list[Token]:
    return MarkdownIt().enable("table").parse(text)
