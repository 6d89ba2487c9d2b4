"""The examples for other frameworks train, each where its framework is installed."""

import importlib.util
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

EXAMPLES = {
    "optax_loop": "optax",
    "linen_train_state": "optax",
    "nnx_module": "optax",
    "equinox_module": "equinox",
    "haiku_transform": "haiku",
    "keras_fit": "keras",
    "kauldron_loss": "kauldron",
}
"""The package that an example needs besides jax and flax."""
FOLDER = Path(__file__).parents[1] / "examples"


def test_every_example_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} == EXAMPLES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains(name):
    if not importlib.util.find_spec(EXAMPLES[name]):
        pytest.skip(f"{EXAMPLES[name]} is not installed")
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert specification
    assert specification.loader
    example = importlib.util.module_from_spec(specification)
    labels = np.zeros((4, 16, 16), np.int32)
    labels[:, 4:7, 2:14] = 1
    labels[:, 10:14, 5:9] = 2
    gray = np.random.default_rng(0).normal(labels, 0.1)[..., None].astype(np.float32)
    labels[:, :, :2] = 255
    gray[:, :, :2] = 9  # what void pixels show must not matter
    with jax.numpy_rank_promotion("allow"):  # frameworks rely on it
        specification.loader.exec_module(example)
        losses = example.train(gray, labels, steps=30)
    assert len(losses) == 30
    assert losses[-1] < 0.5 * losses[0]
    assert "tensorflow" not in sys.modules
