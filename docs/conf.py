"""The site: `python -m sphinx -W docs docs/_build`, after `pip install -e '.[docs]'`."""

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `train`, `configs` and `docs.generate` are not installed

GENERATED = (
    "docs.generate.reference",
    "docs.generate.pictures",
    "docs.generate.photographs",
    "docs.generate.quickstart",
    "docs.generate.walls",
    "docs.generate.evidence",
    "docs.generate.parts",
    "docs.generate.statistics",
    "docs.generate.explorer",
)
"""Modules whose `write(folder)` makes pages or pictures from the code, in order."""

project = "balanced_jax"
author = "The balanced_jax authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docs.generate.formulas",
]
exclude_patterns = ["_build", "_generated"]
default_role = "py:obj"  # docstrings write `name`: a link where the name is public, else code
add_function_parentheses = False
add_module_names = False
autodoc_member_order = "bysource"
maximum_signature_line_length = 80
napoleon_use_param = False  # arguments that share a line of a docstring share one of the page
napoleon_use_rtype = False
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_block"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "balanced_jax"
html_theme_options = {"show_toc_level": 2, "navbar_persistent": []}  # one search field, in the sidebar
html_static_path = ["_static"]
html_css_files = ["site.css", "pictures.css"]
html_math_renderer = "svg"


def setup(app):
    app.connect("builder-inited", lambda app: generate(ROOT / "docs/_generated"))
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-docstring", process_docstring)


def generate(folder: Path) -> None:
    """Write `docs/_generated` before the pages are read, which include its files."""
    folder.mkdir(exist_ok=True)
    for name in GENERATED:
        importlib.import_module(name).write(folder)


def process_signature(app, what, name, obj, options, signature, returns):
    """Return the signature of a function as it is written, with the names of jaxtyping's shapes."""
    from docs.generate.signatures import written_signature

    return written_signature(obj) or (signature, returns)


def process_docstring(app, what, name, obj, options, lines):
    """Correct what Sphinx makes of docstrings.

    The bars of an absolute value are no substitution, and a module has no parameters, so that the arguments
    that its functions share are a list of names.
    """
    lines[:] = [line.replace("|", r"\|") for line in lines]
    if what == "module":
        lines[:] = [re.sub("^:raises ", ":", re.sub("^:returns:", ":Returns:", line)) for line in lines]
