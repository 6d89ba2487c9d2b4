"""Formulas as SVG in the color of the text, drawn by matplotlib.

A Sphinx extension, because Sphinx's own loads MathJax from the network. Formulas are TeX as matplotlib's
mathtext knows it, which has no arrays and no cases.
"""

import html

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D

_SIZE = 100
"""Points of one em, in which matplotlib lays glyphs out."""
_EM = 1.15
"""Size relative to the text, whose letters are taller at the same size."""
_FONT = FontProperties(size=_SIZE, math_fontfamily="stix")


def setup(app) -> dict[str, bool]:
    """Register the renderer "svg" for `html_math_renderer`."""
    app.add_html_math_renderer("svg", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def formula(tex: str) -> str:
    """Return a formula as an SVG element that stands on the baseline of the text.

    Raises:
        ValueError: mathtext does not know the TeX.
    """
    text = f"${' '.join(tex.split())}$"
    width, height, depth, *_ = MathTextParser("path").parse(text, dpi=72, prop=_FONT)
    vertices, codes = text_to_path.get_text_path(_FONT, text, ismath=True)
    # mathtext measures up from the baseline, SVG down from the top.
    path = Path(vertices, codes).transformed(Affine2D().scale(1, -1).translate(0, height))
    scale = _EM / _SIZE
    size = f"height:{(height + depth) * scale:.2f}em;vertical-align:{-depth * scale:.2f}em"
    return (
        f'<svg class="formula" role="img" aria-label="{html.escape(tex)}" style="{size}" '
        f'viewBox="0 0 {width:.0f} {height + depth:.0f}"><path d="{_commands(path)}"/></svg>'
    )


def _commands(path: Path) -> str:
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
    commands = []
    for points, code in path.iter_segments(simplify=False, curves=True):
        numbers = "" if code == Path.CLOSEPOLY else " ".join(f"{x:.0f}" for x in points)
        commands.append(letters[code] + numbers)
    return "".join(commands)


def _inline(writer, node: nodes.math) -> None:
    writer.body.append(formula(node.astext()))
    raise nodes.SkipNode


def _block(writer, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{formula(node.astext())}</div>')
    raise nodes.SkipNode
