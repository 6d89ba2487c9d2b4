"""Rendering of HTML pages: one file without external resources, for screens of any width."""

from pathlib import Path
from typing import Any

import jinja2

from train.display.formatting import duration, figure, interval, percent, signed, signed_interval, significant
from train.display.pages.charts import INK
from train.display.pages.documentation import documentation

_FORMATTERS = (duration, figure, interval, percent, significant, signed, signed_interval)


def render_page(template: Path, **values: Any) -> str:
    """Return the page of a template that extends `page.html.jinja`.

    Args:
        template: path of the template.
        values: what the template shows by name, the title included.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {formatter.__name__: formatter for formatter in _FORMATTERS}
    environment.globals |= {"ink": INK, "documentation": documentation}
    return environment.get_template(template.name).render(values)
