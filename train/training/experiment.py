"""An experiment: what a config and the facts about its data make together."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import jax
import optax

from train.config import Config
from train.data.facts import DataFacts
from train.data.pipeline import images_per_pass
from train.parallel import AXIS
from train.run.checkpoints import Checkpoints
from train.training.state import State, initial_state
from train.training.step import Recipe, train_step


@dataclass(frozen=True)
class Experiment:
    """The network, the optimizer, the length of the run and the training step."""

    config: Config
    facts: DataFacts

    @functools.cached_property
    def model(self) -> nn.Module:
        """The config's network, with the classes of the data."""
        return self.config.model.clone(num_classes=len(self.facts.classes))

    @property
    def images_per_pass(self) -> int:
        """Images of a pass over the training part, before the last partial batch is dropped."""
        defective = self.facts.defective_images if self.config.sampling.balanced else None
        return images_per_pass(self.facts.training_images, defective)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.config.sampling.passes * (self.images_per_pass // self.config.batch_size)

    @property
    def steps(self) -> int:
        """Training steps in the whole run."""
        return self.config.epochs * self.steps_per_epoch

    @functools.cached_property
    def transformation(self) -> optax.GradientTransformation:
        """The optimizer for a run of this length."""
        return self.config.optimizer.transformation(self.config.epochs, self.steps_per_epoch)

    @functools.cached_property
    def random_state(self) -> Callable[[], State]:
        """A compiled function that makes the initial state from the seed alone.

        It takes seconds to compile and is called again for the report. At optimization level 1 it compiles
        six times faster and the bits are the same.
        """
        shape = (1, 64, 64, self.facts.channels)  # parameters depend on the channels alone
        make = functools.partial(
            initial_state, self.model, self.transformation, shape, self.config.seed, ema=self.config.ema
        )
        return jax.jit(make, compiler_options={"xla_backend_optimization_level": 1})

    def restore(self, checkpoints: Checkpoints, step: int) -> State:
        """Return the state of a checkpoint."""
        return checkpoints.restore(step, like=jax.eval_shape(self.random_state))

    def train_step(self) -> Callable:
        """Return the training step, to be mapped over devices."""
        config = self.config
        return functools.partial(
            train_step,
            model=self.model.clone(axis_name=AXIS),
            transformation=self.transformation,
            objective=config.objective,
            augmentation=config.augmentation,
            recipe=Recipe(
                config.input, self.steps, config.seed, config.skip, config.ema, config.accumulation
            ),
        )
