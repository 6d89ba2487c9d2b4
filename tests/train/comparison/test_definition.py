"""Comparisons: a cell for each combination of levels, under names of its own, and fields by their path."""

import dataclasses

import pytest

from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.models import FCN8s, UNet
from tests.tiny import config as tiny
from train.comparison.definition import Comparison, axes, cells, reference_level, row_name
from train.comparison.fields import parse_value, replace_field
from train.config import Term
from train.data.sets import KolektorSDD
from train.errors import UserError

CROSS_ENTROPY = {"cross_entropy": Term(softmax_cross_entropy)}
OBJECTIVES = {"cross_entropy": CROSS_ENTROPY, "both": tiny.objective}


def test_every_combination_is_a_cell_and_seeds_change_last():
    comparison = Comparison(
        tiny,
        objectives=OBJECTIVES,
        models={"UNet": UNet(), "FCN": FCN8s()},
        vary={"batch_size": (8, 16)},
        seeds=(0, 1),
    )
    made = cells(comparison)
    assert [cell.name for cell in made[:3]] == [
        "cross_entropy-UNet-batch_size_8-seed_0",
        "both-UNet-batch_size_8-seed_0",
        "cross_entropy-FCN-batch_size_8-seed_0",
    ]
    assert len({cell.name for cell in made}) == 16
    assert [cell.config.seed for cell in made] == [0] * 8 + [1] * 8
    last = made[-1]
    assert last.levels == {"objective": "both", "model": "FCN", "batch_size": "16", "seed": "1"}
    assert (last.config.objective, last.config.batch_size) == (tiny.objective, 16)
    assert row_name(last.levels, axes(comparison)) == "both, FCN, batch_size 16"


def test_differences_refer_to_the_first_level_of_the_first_axis_that_has_several():
    models, beta = {"UNet": UNet(), "FCN": FCN8s()}, {"objective.balanced.options.beta": (0.0, 0.99)}
    both = Comparison(tiny, objectives=OBJECTIVES, models=models, seeds=(0, 1))
    assert reference_level(both) == {"objective": "cross_entropy"}
    assert reference_level(dataclasses.replace(both, reference="both")) == {"objective": "both"}
    one = Comparison(tiny, objectives={"both": tiny.objective}, models=models, vary=beta)
    assert reference_level(one) == {"model": "UNet"}
    assert reference_level(Comparison(tiny, vary=beta, seeds=(0, 1))) == {"beta": "0.0"}
    assert reference_level(Comparison(tiny, folds=(0, 1), seeds=(0, 1))) == {}


def test_networks_have_the_width_of_the_base():
    comparison = Comparison(tiny, models={"FCN": FCN8s(width=64)})
    assert [cell.config.model for cell in cells(comparison)] == [FCN8s(width=4)]


def test_without_axes_the_base_is_the_only_cell():
    [cell] = cells(Comparison(dataclasses.replace(tiny, seed=3)))
    assert (cell.name, cell.config.seed, cell.config) == ("seed_3", 3, dataclasses.replace(tiny, seed=3))
    assert row_name(cell.levels, axes(Comparison(tiny))) == "base"


def test_a_named_level_sets_several_fields():
    deltas = {
        ".1": {"objective.balanced.options.eps_inf": 0.4, "objective.balanced.options.eps_sup": 0.6},
        ".5": {"objective.balanced.options.eps_inf": 0.0, "objective.balanced.options.eps_sup": 1.0},
    }
    betas = {"objective.balanced.options.beta": (0.0, 0.99)}
    made = cells(Comparison(tiny, vary={"delta": deltas, **betas}))
    options = [cell.config.objective["balanced"].options for cell in made]
    assert [(o["eps_inf"], o["eps_sup"], o["beta"]) for o in options] == [
        (0.4, 0.6, 0.0), (0.0, 1.0, 0.0), (0.4, 0.6, 0.99), (0.0, 1.0, 0.99),
    ]  # fmt: skip
    assert made[1].levels == {"delta": ".5", "beta": "0.0", "seed": "0"}


def test_folds_are_those_of_the_data():
    base = dataclasses.replace(tiny, data=KolektorSDD())
    assert [cell.config.data for cell in cells(Comparison(base, folds=(0, 2)))] == [
        KolektorSDD(fold=0), KolektorSDD(fold=2),
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"fold_0-seed_0: data.fold: there is no field fold"):
        cells(Comparison(tiny, folds=(0,)))


def test_axes_of_equal_last_names_keep_their_paths():
    vary = {"objective.balanced.scale": (1, 2), "objective.dice.scale": (1, 2)}
    assert list(axes(Comparison(tiny, vary=vary))) == [*vary, "seed"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "botj", "objectives": OBJECTIVES}, "reference: .*did you mean both"),
        ({"vary": {"seed": (0, 1)}}, "vary: seed has an axis of its own; give --seeds"),
        ({"vary": {"batch_sise": (1,)}}, "there is no field batch_sise; did you mean batch_size"),
        ({"vary": {"objective.dise.scale": (1,)}}, "there is no dise; did you mean dice"),
        ({"vary": {"epochs": ("ten",)}}, "epochs: is a number, but 'ten' is a text"),
        ({"vary": {"epochs": (0,)}}, "epochs_0-seed_0: epochs: is 0, takes at least 1"),
        ({"vary": {"input.crop": ("32",)}}, "input.crop: is a tuple, but '32' is a text"),
        ({"vary": {"data.train": (1,), "model.widht": (2,)}}, "there is no field widht; did you mean width"),
        ({"objectives": {"a b": CROSS_ENTROPY, "a_b": CROSS_ENTROPY}}, "a_b-seed_0: 2 cells have this name"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        cells(Comparison(tiny, **changes))


def test_a_field_is_replaced_and_nothing_else():
    changed = replace_field(tiny, "optimizer.learning_rate.initial", 0.5)
    assert changed.optimizer.learning_rate.initial == 0.5
    assert replace_field(changed, "optimizer.learning_rate.initial", 1e-2) == tiny
    assert replace_field(tiny, "model.width", 8).model == UNet(width=8, depth=1)
    assert replace_field(tiny, "objective.dice.options.smoothing", 2.0).objective["dice"].options == {
        "smoothing": 2.0
    }
    assert replace_field(tiny, "patience", 3).patience == 3  # None before


def test_values_are_read_as_python_writes_them():
    texts = (".9", "1e-6", "None", "True", "(64, 32)", "scratch", "gs://a b")
    assert [parse_value(text) for text in texts] == [0.9, 1e-6, None, True, (64, 32), "scratch", "gs://a b"]
