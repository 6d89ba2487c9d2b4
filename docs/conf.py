"""The site: `python -m sphinx -W docs docs/_build`, after `pip install -e '.[docs]'`."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `train` and `configs` are not installed

project = "balanced_jax"
author = "The balanced_jax authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_generated"]
default_role = "code"  # docstrings write `name`
autodoc_member_order = "bysource"
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_block"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "balanced_jax"
html_theme_options = {"show_toc_level": 2}


def setup(app):
    """Write `docs/_generated` before the pages are read, which include its files."""
    app.connect("builder-inited", lambda app: generate(ROOT / "docs/_generated"))


def generate(folder: Path):
    folder.mkdir(exist_ok=True)
    for module in ():
        module.write(folder)
