"""The pages that a reader opens: files in Markdown, and what they link to."""

import itertools
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
SITE = sorted(path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated"} & {*path.parts})
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *SITE]

_INCLUDE = re.compile(r"^[`:]{3,}\{include\} +(\S+)", re.MULTILINE)
_TARGET = re.compile(r"^\((\S+)\)=$", re.MULTILINE)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tokens(path: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(path.read_text())


def links(path: Path) -> list[str]:
    """Return the targets of the links and pictures of a page."""
    found = []
    for token in _tokens(path):
        for child in token.children or ():
            target = child.attrGet("href" if child.type == "link_open" else "src")
            found += [str(target)] if target else []
    return found


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page: its headings as GitHub and MyST name them, and named targets."""
    tokens = _tokens(path)
    headings = [
        "".join(child.content for child in inline.children or ())
        for opening, inline in itertools.pairwise(tokens)
        if opening.type == "heading_open"
    ]
    found = {*_TARGET.findall(path.read_text())}
    for heading in headings:
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = 1
        unique = slug
        while unique in found:
            unique, number = f"{slug}-{number}", number + 1
        found.add(unique)
    for included in _INCLUDE.findall(path.read_text()):
        file = path.parent / included
        found |= anchors(file) if file.suffix == ".md" else set()
    return found
