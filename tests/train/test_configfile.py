"""Config files and their way into JSON and back."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

import balanced_jax.losses
import balanced_jax.masks
import balanced_jax.models
import configs.objectives
import train.config
import train.data.sets
from balanced_jax.losses import softmax_cross_entropy, softmax_focal_loss
from balanced_jax.masks import balance_mask
from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES
from train import configfile
from train.comparison.definition import cells
from train.config import Config, Ramp, Term
from train.configfile import ConfigFile
from train.data.sets import Generated
from train.errors import UserError
from train.training.objective import check_objective

CONFIGS = sorted(
    path
    for path in (Path(__file__).parents[2] / "configs").glob("*.py")
    if path.stem not in ("objectives", "paper")  # what configs share; comparisons
)
COMPARISONS = ConfigFile(CONFIGS[0].with_name("paper.py"), None).named("comparison") | {
    path.stem: ConfigFile(path, None).variables()["comparison"]
    for path in CONFIGS
    if "comparison" in ConfigFile(path, None).variables()
}

OWN = """
from balanced_jax.losses import softmax_cross_entropy
from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES
from train.config import Config, Term
from train.data.sets import Generated

def own_loss(logits, labels, *, weights=None):
    return softmax_cross_entropy(logits, labels, weights=weights)

config = Config(data=Generated(), model=UNet(), objective={"own": Term(own_loss)})
"""


def example() -> Config:
    return Config(
        data=Generated(size=64),
        model=UNet(width=4),
        objective={
            "a": Term(softmax_focal_loss, scale=Ramp(1.0, 0.0), options={"gamma": 1.5}),
            "b": Term(
                functools.partial(softmax_focal_loss, gamma=4.0),
                weights=balance_mask,
                weights_options={"beta": Ramp(0.9, 0.0, until=0.5), "window": 3},
            ),
        },
    )


@pytest.mark.parametrize("comparison", COMPARISONS.values(), ids=COMPARISONS)
def test_every_cell_of_the_projects_comparisons_survives_json_and_has_an_objective(comparison):
    for cell in cells(comparison):
        assert there_and_back(cell.config) == cell.config
        check_objective(cell.config.objective)


def there_and_back(config: Config, own_file: Path = Path("config.py")) -> Config:
    return configfile.from_json(json.loads(json.dumps(configfile.to_json(config))), own_file)


def test_a_config_survives_json():
    back = there_and_back(example())
    partial: Any = back.objective["b"].loss
    expected: Any = example().objective["b"].loss
    assert (partial.func, partial.args, partial.keywords) == (expected.func, (), {"gamma": 4.0})
    term = dataclasses.replace(back.objective["b"], loss=expected)
    assert dataclasses.replace(back, objective={**back.objective, "b": term}) == dataclasses.replace(
        example(), objective={**example().objective, "b": term}
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_the_project_loads_and_survives_json(path):
    config = ConfigFile(path, None).load()
    assert there_and_back(config) == config


@pytest.mark.parametrize("name", ["unet", "fcn8s", "segnet", "deeplabv3", "deeplabv3plus", "pspnet"])
def test_every_network_has_a_config(name):
    config = ConfigFile(CONFIGS[0].with_name("networks.py"), name).load()
    assert there_and_back(config) == config


def test_a_file_may_name_several_configs(tmp_path):
    path = tmp_path / "several.py"
    path.write_text(OWN + "configs = {'small': config, 'wrong': 3}")
    assert ConfigFile(path, "small").load() == ConfigFile(path, None).load()
    with pytest.raises(UserError, match=r"several.py: has no 'smal' in its `configs`; did you mean small\?"):
        ConfigFile(path, "smal").load()
    with pytest.raises(UserError, match=r"it has small, wrong"):
        ConfigFile(path, "xyz").load()
    with pytest.raises(UserError, match=r"but has int there"):
        ConfigFile(path, "wrong").load()


def test_a_name_is_told_from_a_path(tmp_path):
    odd = tmp_path / "a:b"
    odd.write_text(OWN)
    assert ConfigFile.parse(str(odd)) == (odd, None)
    assert ConfigFile.parse("mine.py") == (Path("mine.py"), None)
    assert ConfigFile.parse("mine.py:small") == (Path("mine.py"), "small")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_goes_with_every_config(name):
    for path in CONFIGS:
        if path.stem == "networks":  # its configs are networks
            continue
        config = ConfigFile(path, name).load()
        check_objective(config.objective)
        assert there_and_back(config) == config


def test_a_function_of_the_config_file_comes_from_the_copy_in_the_run(tmp_path):
    original, copy = tmp_path / "mine.py", tmp_path / "config.py"
    original.write_text(OWN)
    config = ConfigFile(original, None).load()
    copy.write_text(OWN)
    original.unlink()
    back = there_and_back(config, copy)
    assert back.objective["own"].loss.__code__.co_filename == str(copy)


def test_the_digest_names_the_fields():
    assert configfile.digest(example()) == configfile.digest(example())
    assert configfile.digest(example()) != configfile.digest(dataclasses.replace(example(), seed=1))


def test_differences_are_named_with_both_values():
    old = configfile.to_json(example())
    new = configfile.to_json(dataclasses.replace(example(), seed=3, data=Generated(size=32)))
    assert configfile.differences(old, new) == ["data.size: 64 -> 32", "seed: 0 -> 3"]


def closure():
    def loss(logits, labels, *, weights=None):
        return softmax_cross_entropy(logits, labels, weights=weights)

    return loss


@pytest.mark.parametrize("loss", [lambda z, y, weights=None: z, closure()], ids=["lambda", "closure"])
def test_what_cannot_be_found_again_is_refused(loss):
    config = dataclasses.replace(example(), objective={"mine": Term(loss)})
    with pytest.raises(UserError, match=r"config\.objective\.mine\.loss: .* def at the top"):
        configfile.to_json(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such config file"),
        ("config = 3", "must end in"),
        ("import nothing_of_the_kind", "ModuleNotFoundError: No module named"),
        (
            "from train.config import Input\nInput(crop=(0, 8))",
            r"wrong.py: input.crop: is 0 8, takes at least 1",
        ),
    ],
)
def test_a_wrong_config_file_is_named(tmp_path, text, message):
    path = tmp_path / "wrong.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        ConfigFile(path, None).load()
    assert str(path) in str(caught.value)


ADDRESSES = {
    balanced_jax.losses: list(balanced_jax.losses.__all__),
    balanced_jax.masks: list(balanced_jax.masks.__all__),
    configs.objectives: [
        "adjusted_cross_entropy", "smoothed_cross_entropy", "smoothed_dice", "worst_neighbor_cross_entropy",
        "worst_neighbor_dice",
    ],
    balanced_jax.models: ["DeepLabV3", "FCN8s", "PSPNet", "SegNet", "UNet"],
    train.config: [
        "Adam", "Augmentation", "Config", "CosineDecay", "ExponentialDecay", "ImageRatio", "Input",
        "PixelRatio", "PixelShare", "Ramp", "Sampling", "Term",
    ],
    train.data.sets: [
        "Folder", "Generated", "KolektorSDD", "KolektorSDD2", "MagneticTile", "NeuSeg", "Severstal",
        "TopoMortar",
    ],
}  # fmt: skip
"""What a config.json may name, by the public module that it is named by: moving a file must not change it."""


@pytest.mark.parametrize("module", ADDRESSES, ids=lambda module: module.__name__)
def test_a_config_names_objects_by_public_addresses(module):
    for name in ADDRESSES[module]:
        assert configfile.public_address(getattr(module, name)) == f"{module.__name__}:{name}"
