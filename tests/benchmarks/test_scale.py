"""The arithmetic of `tests.benchmarks.scale` against counts by hand."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from balanced_jax.models import UNet
from balanced_jax.models.layers import Convolution
from tests.benchmarks import scale
from tests.benchmarks.scale import Chip, Cost, Scale

pytestmark = pytest.mark.slow

COST = Cost(parameters=10**6, operations=4e12, bytes=8e9, memory=1e9, exchanges=10)


def taps(*sides: int) -> int:
    """Return the taps of a 3x3 kernel inside a feature map; the compiler does not count taps on padding."""
    height, width = sides
    return (3 * height - 2) * (3 * width - 2)


def test_two_operations_are_counted_for_each_weight_of_a_convolution_that_meets_a_pixel():
    images = jax.ShapeDtypeStruct((2, 20, 24, 16), jnp.float32)
    layer = Convolution(32)
    variables = jax.eval_shape(layer.init, jax.random.key(0), images)
    analysis: Any = jax.jit(layer.apply).lower(variables, images).compile().cost_analysis()
    assert analysis["flops"] == 2 * 2 * taps(20, 24) * 16 * 32


def test_a_step_counts_three_passes_of_all_convolutions_and_little_else():
    data = dataclasses.replace(scale.DATA["neu_seg"], size=(32, 32))
    result = scale.cost(UNet(width=32, depth=1), data, 2, jax.devices()[:2], {})
    down = taps(32, 32) * (1 * 32 + 32 * 32) + taps(16, 16) * (32 * 64 + 64 * 64)
    up = 32 * 32 * 64 * 32 + taps(32, 32) * (64 * 32 + 32 * 32) + 32 * 32 * 32 * 4
    assert result.operations == pytest.approx(3 * 2 * 2 * (down + up), rel=0.05)
    assert result.parameters == 9 * (32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 32 + 32 * 32) + (
        4 * 64 * 32 + 32 + 32 * 4 + 4 + 2 * (4 * 32 + 2 * 64)
    )
    # Six norms exchange forwards and backwards; then the images' count and the gradients.
    assert result.exchanges >= 6 * 2 + 1
    assert result.memory > 3 * 4 * result.parameters  # Adam's two moments beside them


def test_one_chip_exchanges_nothing():
    assert scale.ring_seconds(1e9, 1, Chip()) == 0
    assert scale.wait_seconds(100, 1, Chip()) == 0


def test_two_chips_send_each_other_half_of_the_sum_twice():
    assert scale.ring_seconds(1e9, 2, Chip(ring=1e9)) == 1


def test_word_crosses_a_square_of_sixteen_chips_in_six_hops_and_comes_back():
    assert scale.wait_seconds(1, 16, Chip(hop=1.0)) == 12


def test_operations_take_their_time_at_the_share_of_the_peak_and_bytes_at_full_bandwidth():
    chip = Chip(peak=1e14, bandwidth=1e12)
    assert scale.seconds(COST, Scale(utilization=0.4, chip=chip)) == pytest.approx((0.1, 0.008))


def test_a_host_is_asked_for_what_its_own_chips_take():
    chip = Chip(peak=1e14, bandwidth=1e12, per_host=8)
    options = Scale(utilization=0.4, chips=(4, 16), batch=5, chip=chip)
    rows = list(scale.more_chips({"any": COST}, scale.DATA["severstal"], options))[1:]
    asked = [float(row.split("|")[-4]) for row in rows]
    assert asked == pytest.approx([4 * 5 / 0.1, 8 * 5 / 0.1], rel=0.01)


def test_the_recipe_ends_where_an_epoch_has_fewer_than_ten_steps():
    data = dataclasses.replace(scale.DATA["neu_seg"], images=1000)
    rows = list(scale.recipe(data, Scale(batch=4, chips=(4, 16, 25, 32))))[1:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert cells[0] == ["4", "16", "62", "1.0e-04", "the recipe"]
    assert cells[1] == ["16", "64", "15", "2.0e-04", ""]
    assert [row[-1] for row in cells[2:]] == ["", "too few steps"]
