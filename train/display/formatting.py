"""Numbers as text, on the screen and in the report alike; a dash stands for a missing number."""

import math
import re
from collections.abc import Sequence

import numpy as np

_DASH = "\N{EN DASH}"


def figure(value: float | None, places: int = 3) -> str:
    """Format a number with a fixed number of decimal places."""
    if value is None or math.isnan(value):
        return _DASH
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


def significant(value: float | None, digits: int) -> str:
    """Format a number with at most `digits` significant digits, without an exponent."""
    if value is None or math.isnan(value):
        return _DASH
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def percent(fraction: float | None, digits: int | None = None) -> str:
    """Format a fraction as a percentage, without the sign.

    Args:
        fraction: from 0 to 1.
        digits: number of significant digits at most, for classes of few pixels; None for one decimal place,
            and "<0.1" if a positive fraction rounds to 0.
    """
    percentage = None if fraction is None else 100 * fraction
    if digits is not None:
        return significant(percentage, digits)
    return "<0.1" if percentage is not None and 0 < percentage < 0.05 else figure(percentage, 1)


def interval(ends: Sequence[float] | None) -> str:
    """Format the two ends of an interval with two decimal places each."""
    return _DASH if ends is None else _DASH.join(figure(end, 2) for end in ends)


def drop_zeros(text: str) -> str:
    """Remove the zero before each decimal point of a text."""
    return re.sub(r"(?<!\d)0(?=\.)", "", text)


def signed(value: float | None, places: int = 3) -> str:
    """Format a difference with its sign, unless it rounds to 0, and a fixed number of decimal places."""
    rounded = None if value is None else round(value, places) or 0.0
    return f"+{figure(rounded, places)}" if rounded is not None and rounded > 0 else figure(rounded, places)


def signed_interval(ends: Sequence[float] | None) -> str:
    """Format the two ends of the interval of a difference with three decimal places each."""
    return _DASH if ends is None else " to ".join(map(signed, ends))


def dimensions(size: Sequence[float]) -> str:
    """Format a height and a width, such as "256x1600"."""
    return "x".join(f"{side:g}" for side in size)


def duration(seconds: float) -> str:
    """Format a duration in its two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
