"""Numbers as the screen and the page show them; a dash where there is none."""

import math
from collections.abc import Sequence

import numpy as np

_DASH = "\N{EN DASH}"


def figure(value: float | None, places: int = 3) -> str:
    """Return a number with so many decimal places."""
    if value is None or math.isnan(value):
        return _DASH
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def significant(value: float, digits: int) -> str:
    """Return a number of any size with so many significant digits, without an exponent."""
    if math.isnan(value):
        return _DASH
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage with one decimal place; "<0.1" for what would round to 0."""
    return "<0.1" if fraction and fraction < 0.0005 else figure(fraction and 100 * fraction, 1)


def interval(ends: Sequence[float] | None) -> str:
    """Return an interval with two decimal places, because its ends are known no better."""
    return _DASH.join(figure(end, 2) for end in ends) if ends else _DASH


def size(sides: Sequence[float]) -> str:
    """Return height and width as "HEIGHTxWIDTH"."""
    return "x".join(f"{side:g}" for side in sides)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
