"""A small network, an objective and batches, for tests of steps."""

import functools
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax

from balanced_jax.losses import dice_loss, softmax_truncated_cross_entropy
from balanced_jax.masks import balance_mask
from balanced_jax.models import UNet
from train.config import Ramp, Term
from train.data.example import VOID
from train.training.state import initial_state

OBJECTIVE = {
    "balanced": Term(
        softmax_truncated_cross_entropy,
        options={"eps_inf": Ramp(0.0, 0.3), "eps_sup": Ramp(1.0, 0.7)},
        weights=balance_mask,
        weights_options={"beta": 0.9, "window": 3, "power": Ramp(1.0, 0.0)},
    ),
    "dice": Term(dice_loss, scale=0.5),
}
MODEL = UNet(num_classes=3, width=4, depth=1)
STEPS = 20


def batch(step: int, size: int = 16) -> dict[str, Any]:
    """Images with a dark square each; the first images are void in part or altogether."""
    rng = np.random.default_rng(step)
    image = rng.integers(100, 156, (size, 16, 16, 1)).astype(np.uint8)
    label = np.zeros((size, 16, 16), np.uint8)
    for i in range(size):
        top, left = rng.integers(0, 10, 2)
        label[i, top : top + 6, left : left + 6] = 1 + i % 2
        image[i, top : top + 6, left : left + 6] -= np.uint8(60 + 30 * (i % 2))
    label[0] = VOID
    label[1, :, 3:] = VOID
    label[5, 7] = VOID
    return {
        "image": image,
        "label": label,
        "masks": {},
        "index": np.arange(step * size, (step + 1) * size, dtype=np.int32),
    }


def fresh_state(transformation: optax.GradientTransformation, model: nn.Module = MODEL):
    make = functools.partial(initial_state, model, transformation, (1, 16, 16, 1), 0)
    return jax.jit(make, compiler_options={"xla_backend_optimization_level": 1})()
