"""Wrong values of flags, in the words of a person."""

from dataclasses import dataclass

import pytest

from train.commands.arguments import parse_arguments
from train.errors import UserError


@dataclass
class _Flags:
    number: int = 3
    fraction: float = 0.5
    pair: tuple[float, float] | None = None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--number", "80a"], "--number: takes a whole number, not '80a'; write --number INT"),
        (["--fraction", "x"], "--fraction: takes a number, not 'x'; write --fraction FLOAT"),
        (["--pair", "5"], "--pair: cannot be '5'; write --pair {None}|{FLOAT FLOAT}"),
    ],
)
def test_values_of_another_type_are_refused_without_the_words_of_python(arguments, message):
    with pytest.raises(UserError) as refused:
        parse_arguments(_Flags, arguments, prog="program")
    assert str(refused.value) == message
