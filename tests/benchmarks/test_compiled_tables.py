"""The operations, times and verdicts of `tests.benchmarks.compiled` against counts by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from tests.benchmarks.compiled.figures import Figure
from tests.benchmarks.compiled.operations import operations
from tests.benchmarks.compiled.tables import Table, is_late, markdown, missed

AXIS = ("devices", 4)


def figure(name: str, bytes: int, side: str = "library", **others) -> Figure:
    row: dict[str, Any] = {"target": "tpu", "what": "losses", "classes": 5, "dtype": "float32", **others}
    return Figure(name=name, bytes=bytes, side=side, **row)


def verdicts(*figures: Figure) -> list[str]:
    """Return the targets that the first figure misses."""
    return list(missed(figures[0], Table(figures, figures[0].target)))


def test_a_strided_convolution_and_its_gradients_take_three_times_its_operations():
    image = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.bfloat16)
    kernel = jax.ShapeDtypeStruct((2, 2, 3, 8), jnp.bfloat16)

    def total(image, kernel):
        result = jax.lax.conv_general_dilated(
            image, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.sum(result**2)

    counted = operations(jax.value_and_grad(total, (0, 1)), (image, kernel), AXIS)
    assert counted == {"bfloat16": 3 * 2 * (2 * 8 * 8 * 8) * (2 * 2 * 3)}


def test_products_in_a_loop_count_as_often_as_it_runs_and_those_of_integers_never():
    def function(x, n):
        x, _ = jax.lax.scan(lambda x, _: (jax.lax.psum(x @ x, AXIS[0]), None), x, length=7)
        return x, n @ n

    arguments = (jax.ShapeDtypeStruct((10, 10), jnp.float32), jax.ShapeDtypeStruct((10, 10), jnp.int32))
    assert operations(function, arguments, AXIS) == {"float32": 7 * 2 * 10**3}


def test_a_program_takes_the_longer_of_the_times_of_its_bytes_and_its_products():
    assert figure("any", bytes=819 * 10**6).roofline_time == pytest.approx(1e-3)
    busy = figure("any", bytes=819 * 10**6, operations={"float32": 394e9, "bfloat16": 197e9})
    assert busy.roofline_time == pytest.approx(3e-3)


def test_a_loss_may_move_and_keep_what_its_plain_formulation_does():
    plain = figure("dice_loss", 100, "plain", temporary=10)
    assert verdicts(figure("dice_loss", 100, temporary=10), plain) == []
    assert verdicts(figure("dice_loss", 110, temporary=20), plain) == [
        "bytes of plain: 1.10 > 1",
        "temporary of plain: 2.00 > 1",
    ]
    assert verdicts(figure("dice_loss", 100, temporary=1), figure("dice_loss", 100, "plain")) == [
        "temporary of plain: inf > 1"
    ]


def test_the_balanced_loss_may_move_what_its_parts_move():
    parts = (
        figure("softmax_truncated_cross_entropy", 60),
        figure("balance_mask", 40, what="masks", dtype=""),
    )
    assert verdicts(figure("balanced_loss", 100), *parts) == []
    assert verdicts(figure("balanced_loss", 130), *parts) == ["its parts: 1.30 > 1"]


def test_the_augmentation_may_move_a_twentieth_of_the_step_of_the_unet():
    step = figure("UNet, training step", 1000, what="steps")
    change = figure("augment", 60, what="augmentation", classes=None, dtype="")
    assert verdicts(change, step) == ["of the U-Net's step: 0.06 > 0.05"]


def test_a_loss_of_labels_is_held_against_cross_entropy_of_optax_by_chip():
    for target, expected in {"tpu": ["optax: 0.20 > 0.1"], "gpu": []}.items():
        pair = (figure("softmax_focal_loss", bytes, side, target=target)
                for bytes, side in ((20, "library"), (100, "optax")))  # fmt: skip
        assert verdicts(*pair) == expected


def test_more_classes_may_take_longer_to_compile():
    assert is_late(figure("any", 1, seconds=11, classes=21))
    assert not is_late(figure("any", 1, seconds=11, classes=22))
    assert is_late(figure("any", 1, seconds=61, classes=200))


def test_a_loop_and_a_refusal_are_shown():
    rows = [
        figure("dice_loss", 2**20, loops=[5, None], sorts=1),
        figure("dice_loss", 2**20, "plain"),
        figure("lovasz_softmax_loss", 0, refusal="RESOURCE_EXHAUSTED: no memory"),
    ]
    text = "\n".join(markdown(rows))
    assert "| library: loop x5, loop x?, 1 sort |  |" in text
    assert "| RESOURCE_EXHAUSTED: no memory |" in text
