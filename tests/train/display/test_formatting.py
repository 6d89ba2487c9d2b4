"""Numbers as text."""

import math

from train.display.formatting import (
    dimensions,
    drop_zeros,
    duration,
    figure,
    interval,
    percent,
    signed,
    signed_interval,
    significant,
)

DASH = "\N{EN DASH}"


def test_a_missing_number_is_a_dash():
    missing = [figure(None), figure(math.nan), significant(None, 3), significant(math.nan, 3)]
    missing += [percent(None), percent(None, digits=3), interval(None)]
    missing += [signed(None), signed(math.nan), signed_interval(None)]
    assert missing == [DASH] * 10


def test_figures_have_fixed_places_and_a_true_minus():
    assert figure(0.12345) == "0.123"
    assert figure(-0.25, 2) == "\N{MINUS SIGN}0.25"


def test_small_numbers_keep_their_digits():
    formatted = [significant(value, 3) for value in (1.40449, 0.000034567, 0.0, 49.64, 1234567.0)]
    assert formatted == ["1.4", "0.0000346", "0", "49.6", "1230000"]


def test_a_percentage_tells_little_from_nothing():
    assert [percent(f) for f in (0.0, 0.0004, 0.0006, 0.125, 1.0)] == ["0.0", "<0.1", "0.1", "12.5", "100.0"]
    assert [percent(f, digits=3) for f in (0.0, 0.00012345, 0.125, 1.0)] == ["0", "0.0123", "12.5", "100"]


def test_intervals_sizes_and_durations():
    assert interval((0.411, 0.589)) == f"0.41{DASH}0.59"
    assert dimensions((40, 60.5)) == "40x60.5"
    assert [duration(s) for s in (0.04, 59.5, 61, 3725)] == ["0.0 s", "59.5 s", "1 min 1 s", "1 h 2 min"]


def test_differences_have_their_sign_unless_they_round_to_zero():
    assert [signed(d) for d in (0.0514, -0.25, 0.0004, -0.0004)] == [
        "+0.051",
        "\N{MINUS SIGN}0.250",
        "0.000",
        "0.000",
    ]
    assert signed_interval((-0.02, 0.03)) == "\N{MINUS SIGN}0.020 to +0.030"


def test_zeros_before_decimal_points_are_dropped():
    assert drop_zeros("0.650 ± 0.012") == ".650 ± .012"
    assert drop_zeros("+0.020, 10.5, 1.000, 0") == "+.020, 10.5, 1.000, 0"
