"""What a run is: frozen dataclasses that a file in `configs` fills in with real functions and modules."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax

from train.data.example import DataSet
from train.errors import UserError


@dataclass(frozen=True)
class Ramp:
    """A number that moves in a straight line over the run, and stands still before and after."""

    start: float
    """Value up to `begin`."""
    end: float
    """Value from `until` on."""
    begin: float = 0.0
    """Share of the run after which the number starts to move."""
    until: float = 1.0
    """Share of the run at which it arrives."""

    def __post_init__(self):
        if not 0 <= self.begin < self.until <= 1:
            raise UserError(f"{self}: takes 0 <= begin < until <= 1")

    def at(self, progress):
        """The number when the share `progress` (0 to 1, may be traced) of the run is done."""
        share = jnp.clip((progress - self.begin) / (self.until - self.begin), 0, 1)
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class Term:
    """One loss of the objective: scale * loss(logits, labels, weights=weights(labels, ...), **options).

    With a stored mask the weights are multiplied by it.
    """

    loss: Callable
    """A loss `(logits, labels, *, weights=None, **options)` that returns the cost of each pixel."""
    scale: Any = 1.0
    """What the term counts in the sum of all terms: a number or a Ramp."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the loss; a number may be a Ramp."""
    weights: Callable | None = None
    """A mask `(labels, num_classes, **weights_options)` that says what each pixel counts."""
    weights_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the mask; a number may be a Ramp."""
    stored: Callable | None = None
    """A second mask, made once for each training image at the size of the network, before crops and turns,
    and carried through them; for masks that are too slow to be made in every step."""
    stored_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the stored mask; no Ramps."""


@dataclass(frozen=True)
class Input:
    """What the network sees of an image."""

    size: tuple[int, int] | None = None
    """Height and width every image is resized to; None leaves images as large as they are."""
    crop: tuple[int, int] | None = None
    """Height and width of the random crops of training; None trains on whole images."""
    mean: float = 0.5
    """Subtracted from pixel values in 0 to 1."""
    deviation: float = 0.25
    """Pixel values are then divided by it."""


@dataclass(frozen=True)
class Sampling:
    """Which images training sees, and where it cuts its crops out of them."""

    balanced: bool = False
    """Take images with and without defects in turn; an epoch is all of the rarer kind and as many others."""
    centred: float = 0.0
    """Chance that a crop is centred on a pixel of a defect, of a class drawn among those in the image."""
    passes: int = 1
    """Passes over these images that make an epoch, after which the validation part is looked at."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images, made on the device; pixels turned in from outside are void."""

    flip: bool = True
    """Mirror left to right and top to bottom, each half of the time."""
    rotation: float = 10.0
    """Turn by up to this many degrees either way."""
    brightness: float = 0.1
    """Add up to this much either way to pixel values in 0 to 1."""
    contrast: float = 0.1
    """Stretch contrast by a factor of up to this much above or below 1."""


@dataclass(frozen=True)
class ExponentialDecay:
    """The paper's learning rate: multiplied by the same number after each epoch."""

    initial: float = 1e-4
    """Learning rate of the first epoch after the warm-up."""
    factor: float = 0.995
    """Multiplies the rate after each epoch that follows the warm-up."""
    warmup: float = 0.0
    """Share of the run over which the rate first rises in a straight line, 0 to below 1."""

    def schedule(self, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        """Learning rate as a function of the step."""
        decay = optax.exponential_decay(self.initial, steps_per_epoch, self.factor, staircase=True)
        return _warmed_up(decay, self.initial, int(self.warmup * epochs * steps_per_epoch))


@dataclass(frozen=True)
class CosineDecay:
    """A learning rate that falls to zero along half a cosine: the better choice for short runs."""

    initial: float = 1e-3
    """Learning rate of the first step after the warm-up."""
    warmup: float = 0.0
    """Share of the run over which the rate first rises in a straight line, 0 to below 1."""

    def schedule(self, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        """Learning rate as a function of the step."""
        steps = epochs * steps_per_epoch
        rising = int(self.warmup * steps)
        return _warmed_up(optax.cosine_decay_schedule(self.initial, steps - rising), self.initial, rising)


def _warmed_up(decay: optax.Schedule, initial: float, steps: int) -> optax.Schedule:
    """A rate that rises over a number of steps, never 0, and then decays from its initial value."""
    if steps == 0:
        return decay
    rise = optax.linear_schedule(initial / (steps + 1), initial, steps)
    return optax.join_schedules([rise, decay], [steps])


@dataclass(frozen=True)
class Adam:
    """Adam with an L2 penalty in the gradient, as in the paper (not the decoupled decay of AdamW)."""

    learning_rate: ExponentialDecay | CosineDecay = ExponentialDecay()
    """How the learning rate moves over the run."""
    weight_decay: float = 1e-6
    """Weight of the L2 penalty."""
    clip: float | None = None
    """Largest norm of the gradient over all parameters, before the penalty; a longer one is scaled down."""

    def transformation(self, epochs: int, steps_per_epoch: int) -> optax.GradientTransformation:
        """The optimiser for a run of this length."""
        return optax.chain(
            *([] if self.clip is None else [optax.clip_by_global_norm(self.clip)]),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_adam(),
            optax.scale_by_learning_rate(self.learning_rate.schedule(epochs, steps_per_epoch)),
        )


@dataclass(frozen=True)
class Config:
    """One experiment. Everything that decides its result is in here."""

    data: DataSet
    """The data set."""
    model: nn.Module
    """The network; the data says how many classes it has."""
    objective: dict[str, Term]
    """The terms whose sum is minimised, by name."""
    pretrained: str | None = None
    """File of pretrained weights, `.safetensors` or `.pth`, that the network starts from."""
    init_from: str | None = None
    """Run directory whose best state the network starts from; scores of another number of classes are new."""
    input: Input = Input()
    """What the network sees of an image."""
    sampling: Sampling = Sampling()
    """Which images and crops training sees."""
    augmentation: Augmentation = Augmentation()
    """Random changes of the training images."""
    optimizer: Adam = Adam()
    """How parameters follow gradients."""
    ema: float | None = None
    """Decay a step, in 0 to 1, of a running average of the parameters that is evaluated in their place."""
    epochs: int = 100
    """Passes over the training part; balanced sampling makes them shorter."""
    patience: int | None = None
    """Epochs without a better value of `stop_by` after which training ends; None trains all epochs."""
    stop_by: str = "headline"
    """Figure of `validation` in metrics.jsonl that patience waits for, such as classes.scratch.dice."""
    batch_size: int = 16
    """Images a step, over all devices."""
    accumulation: int = 1
    """Parts a step is computed in, one after the other, for less memory; norms see one part at a time."""
    skip: int = 0
    """Steps whose loss or gradient is not finite that are left out before the run stops at the next one."""
    seed: int = 0
    """Seed of the initial parameters, of the order of the images, of their crops and changes."""
