"""Config files with values of a wrong type or out of range: one line, which names the field."""

import collections
import random

import pytest

from tests.batteries.answers import Accepted, Answer, check_as_processes
from tests.tiny import TINY
from tests.tiny import config as tiny
from train.__main__ import main
from train.commands.fit import directory
from train.configfile import ConfigFile, differences, to_json
from train.errors import UserError
from train.setup import set_up

START = f"""
{TINY.read_text()}

from dataclasses import replace
from balanced_jax.models import UNet, DeepLabV3
from train.config import *
from train.data.sets import *
"""

REFUSED = {
    'replace(config, epochs="3")': "epochs: is '3', takes int",
    "replace(config, epochs=True)": "epochs: is True, takes int",
    "replace(config, batch_size=0)": "batch_size: is 0, takes at least 1",
    "replace(config, seed=-1)": "seed: is -1, takes at least 0",
    "replace(config, seed=2**70)": "seed: is 1180591620717411303424, takes at most 4294967295",
    "replace(config, data=None)": "data: is None, takes train.data.data_set.DataSet",
    "replace(config, model=UNet)": "model: is <class 'balanced_jax.models.unet.UNet'>, takes flax.linen.",
    "replace(config, objective=config.objective['dice'])": "objective: is Term(",
    "Input(crop=32)": "input.crop: is 32, takes tuple[int, int] | None",
    "Input(size=[256, 256])": "input.size: is [256, 256], takes tuple[int, int] | None",
    "Input(size=(10**6, 10**6))": "input.size: is 1000000 1000000, takes at most 268435456 pixels; one image "
    "of this size would be 4000000000000 bytes",
    "Input(mean=math.nan)": "input.mean: is nan, takes a finite number",
    "Adam(1e-3)": "optimizer.learning_rate: is 0.001, takes train.config.ExponentialDecay | train.config.",
    "Adam(ExponentialDecay)": "optimizer.learning_rate: is <class 'train.config.ExponentialDecay'>",
    "CosineDecay(-1)": "optimizer.learning_rate.initial: is -1, takes a finite number above 0",
    "CosineDecay(math.inf)": "optimizer.learning_rate.initial: is inf, takes a finite number above 0",
    "CosineDecay(1e39)": "optimizer.learning_rate.initial: is 1e+39, takes a finite number above 0",
    "ExponentialDecay(math.nan)": "optimizer.learning_rate.initial: is nan, takes a finite number above 0",
    "ExponentialDecay(factor=-1.0)": "optimizer.learning_rate.factor: is -1.0, takes a finite number above 0",
    "Adam(weight_decay=math.nan)": "optimizer.weight_decay: is nan, takes a finite number from 0 on",
    "Ramp(0.0, math.nan)": "takes finite numbers",
    "Term('dice')": "objective: a Term's loss: is 'dice', takes collections.abc.Callable",
    "Term(dice_loss, scale='3')": "objective: a Term's scale: is 3, takes a finite number or a Ramp",
    "UNet(width=-1)": "width: got -1, takes a whole number from 1 on",
    "UNet(dtype='float99')": "dtype: got 'float99', takes a floating-point type",
    "UNet(dropout=2.0)": "dropout: got 2.0, takes a fraction from 0 to below 1",
    "Generated(size='128')": "data.size: is '128', takes int",
    "Generated(train=10**12)": "every part takes 1 to 1000000 images and size 32 to 8192",
    "Folder(classes='ab')": "data.classes: is 'ab', takes tuple[str, ...]",
    "Folder(seed=-1)": "data.seed: is -1, takes at least 0",
    "KolektorSDD(fold=True)": "data.fold: is True, takes Literal[0, 1, 2]",
    "NeuSeg(split='leaky')": "data.split: is 'leaky', takes Literal['grouped', 'official']",
    "Severstal(seed=-1)": "data.seed: is -1, takes at least 0",
    "TopoMortar(labels=3)": "data.labels: is 3, takes Literal[",
    "Comparison(config, seeds=3)": "comparison: seeds: is 3, takes tuple[int, ...]",
    "Comparison(3)": "comparison: base: is 3, takes train.config.Config",
    "exit(0)": "SystemExit: 0",
    "exit()": "SystemExit: ",
    "(_ for _ in ()).throw(GeneratorExit)": "GeneratorExit: ",
    "1 / 0": "ZeroDivisionError: division by zero",
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_a_wrong_value_in_a_config_file_is_one_line_that_names_the_field(source, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"{START}\nconfig = {source}\n")
    with pytest.raises(UserError) as refused:
        ConfigFile(path, None).load()
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert REFUSED[source] in message
    assert message.isprintable()


@pytest.mark.parametrize("named", ["3", "[config]", "{1: config}"])
def test_configs_that_are_no_dictionary_by_name_are_named(named, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"{START}\nconfigs = {named}\n")
    with pytest.raises(UserError, match=r"mine\.py: `configs` is no dictionary whose keys are names"):
        ConfigFile(path, "small").load()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("model=UNet(width=10**6, depth=1)", "model: UNet and its optimizer are"),
        ("input=Input(crop=(2**14, 2**14)), batch_size=16, data=Generated(size=32)", "batch_size: 16 images"),
        ("epochs=10**9", "a run takes less than 2147483648"),
    ],
)
def test_what_cannot_fit_into_this_machine_is_refused_before_it_is_made(
    source, message, tmp_path, monkeypatch
):
    monkeypatch.setattr("train.setup.os.sysconf", lambda name: {"SC_PAGE_SIZE": 1}.get(name, 10**10))
    path = tmp_path / "mine.py"
    path.write_text(f"{START}\nconfig = replace(config, {source})\n")
    with pytest.raises(UserError, match=message):
        set_up(ConfigFile(path, None).load(), data_dir=tmp_path / "prepared", source=None)


def test_runs_from_before_defects_could_be_injected_can_be_resumed():
    new = to_json(tiny)
    old = {**new, "sampling": {name: x for name, x in new["sampling"].items() if name != "inject"}}
    assert old != new
    assert differences(old, new) == []


# Values that are wrong in nearly every field, and the fields that take them.

NOTHING = (
    "pretrained",
    "init_from",
    "ema",
    "patience",
    "input.size",
    "input.crop",
    "sampling.inject",
    "optimizer.clip",
)
NUMBERS = ("input.mean", "objective.dice.scale")
ABOVE_0 = (*NUMBERS, "input.deviation", "augmentation.brightness", "optimizer.weight_decay",
           "optimizer.clip", "optimizer.learning_rate.initial")  # fmt: skip
ZERO = (*NUMBERS, "sampling.centered", "augmentation.rotation", "augmentation.brightness",
        "augmentation.contrast", "optimizer.weight_decay", "optimizer.learning_rate.warmup", "skip", "seed",
        "model.depth", "model.dropout", "data.seed")  # fmt: skip
VALUES: dict[str, tuple[str, ...]] = {
    "None": NOTHING,
    "True": ("augmentation.flip", "model.remat"),
    "-1": NUMBERS,
    "0": ZERO,
    "2.5": (*ABOVE_0, "augmentation.rotation"),
    "1e308": (),
    "10**30": (*ABOVE_0, "data.seed"),
    "math.nan": (),
    "math.inf": (),
    "-math.inf": (),
    "'3'": (),
    "'a\\nb'": (),
    "b'3'": (),
    "()": (),
    "(1,)": (),
    "[8, 8]": (),
    "{}": (),
    "{1, 2}": (),
    "int": (),
    "len": (),
    "object()": (),
    "lambda: 3": (),
    "config": (),
}
TOP = ("data", "model", "objective", "pretrained", "init_from", "input", "sampling", "augmentation",
       "optimizer", "ema", "epochs", "monitor", "patience", "batch_size", "accumulation", "skip",
       "seed")  # fmt: skip
FIELDS = sorted({*TOP, *ABOVE_0, *ZERO, *NOTHING, "augmentation.flip", "sampling.balanced", "sampling.passes",
                 "model.remat", "model.width", "model.norm", "model.dtype", "model.num_classes", "data.size",
                 "data.train"})  # fmt: skip


def replaced(path: str, value: str, owner: str = "config") -> str:
    """The source of a config with another value at a path."""
    name, _, rest = path.partition(".")
    if name == "dice":  # a key of the objective
        return f"{{**{owner}, 'dice': {replaced(rest, value, owner + '[' + repr('dice') + ']')}}}"
    inner = replaced(rest, value, f"{owner}.{name}") if rest else value
    return (
        f"{owner}.clone({name}={inner})" if owner == "config.model" else f"replace({owner}, {name}={inner})"
    )


@pytest.mark.slow
def test_a_hundred_wrong_values_are_refused_in_a_line_or_right(tmp_path, monkeypatch, capsys):
    def accept(*_):
        raise Accepted

    monkeypatch.setattr(directory, "claim", accept)
    rng = random.Random(0)
    cases = rng.sample([(field, value) for field in FIELDS for value in VALUES], 100)
    counts: collections.Counter[str] = collections.Counter()
    refused = []
    for k, (field, value) in enumerate(cases):
        path = tmp_path / f"mine{k}.py"
        path.write_text(f"{START}\nconfig = {replaced(field, value)}\n")
        line = ["fit", str(path), "--data-dir", str(tmp_path / "prepared")]
        try:
            code = main(line)
        except Accepted:
            assert field in VALUES[value], (field, value)
            counts["right"] += 1
            continue
        error = capsys.readouterr().err
        assert field not in VALUES[value], (field, value, error)
        assert code == 2, (field, value)
        assert error.startswith("error: "), (field, value, error)
        assert error.count("\n") == 1, (field, value, error)
        assert field.rpartition(".")[2] in error, (field, value, error)
        counts["refused in a line"] += 1
        refused.append((line, Answer(code, error)))
    with capsys.disabled():
        print(f"\nvalues in configs: {counts.total()} tried, {dict(counts)}, 0 others")
    assert counts.total() == 100
    check_as_processes(refused, tmp_path, rng)
