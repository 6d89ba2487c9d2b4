"""What a run is: frozen dataclasses that a file in `configs` fills in with real functions and modules.

Each dataclass refuses values of another type than its annotations say, and numbers out of range, with a
UserError that names the field. Checks that need the data or the devices are in `train.setup`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from train.data.data_set import DataSet
from train.errors import UserError
from train.field_types import check_types

_LARGEST = 3.4e38
"""Numbers above it are infinite in float32."""
_MAX_PIXELS = 2**28
"""Largest input of the network: one image of it, in float32, is a GiB."""
_SEEDS = 2**32
"""Seeds of the order of the images are below this number."""


def _require(accepted: bool, name: str, value: Any, takes: str) -> None:
    if not accepted:
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
        raise UserError(f"{name}: is {shown}, takes {takes}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(number: float) -> bool:
    return abs(number) <= _LARGEST


@dataclass(frozen=True)
class Ramp:
    """A number that changes linearly over a stretch of the run, and is constant before and after."""

    start: float
    """Value up to `begin`."""
    end: float
    """Value from `until` on."""
    begin: float = 0.0
    """Fraction of the run at which the number starts to change."""
    until: float = 1.0
    """Fraction of the run at which the number reaches `end`."""

    def __post_init__(self):
        check_types(Ramp, self, "Ramp.")
        if not 0 <= self.begin < self.until <= 1:
            raise UserError(f"{self}: takes 0 <= begin < until <= 1")
        if not (_is_finite(self.start) and _is_finite(self.end)):
            raise UserError(f"{self}: takes finite numbers")

    def number(self, progress):
        """Return the number when the fraction `progress` (0 to 1, may be traced) of the run is done."""
        fraction = jnp.clip((progress - self.begin) / (self.until - self.begin), 0, 1)
        return self.start + (self.end - self.start) * fraction


@dataclass(frozen=True)
class ImageRatio:
    """The rarity of each class by images, where an option of a Term takes a number for each class.

    1 for the background; for any other class the number of training images that do not show the class over
    the number of those that do, at least 1: the rule of Xie et al. 2023 for the weighted cross-entropy and
    the focal loss. An image shows a class if one of its pixels has the label. Where every image shows a class
    the ratio is 1, however few pixels the class has.
    """


@dataclass(frozen=True)
class PixelRatio:
    """The rarity of each class by pixels, where an option of a Term takes a number for each class.

    1 for the background; for any other class the number of labeled pixels of all other classes over the
    number of its own, at least 1. Counted over all training images together, at the size of their files; void
    pixels are not counted.
    """


@dataclass(frozen=True)
class PixelShare:
    """The frequency of each class, where an option of a Term takes a number for each class.

    The share of the class among the labeled pixels of all training images together, at the size of their
    files. A background without a pixel counts as one pixel; a defect class that no training image shows is
    refused.
    """


@dataclass(frozen=True)
class Term:
    """One loss of the objective: scale * loss(logits, labels, weights=weights(labels, ...), **options).

    With a precomputed mask the weights are multiplied by it. Where an option takes a number for each class,
    it may be an ImageRatio, a PixelRatio or a PixelShare, in place of which a run has the numbers of its
    training part.
    """

    loss: Callable
    """A loss `(logits, labels, *, weights=None, **options)` that returns the cost of each pixel."""
    scale: Any = 1.0
    """Factor of the term in the sum of all terms: a number or a Ramp."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the loss; a number may be a Ramp."""
    weights: Callable | None = None
    """A mask `(labels, num_classes, **weights_options)` that weights the pixels, made in every step."""
    weights_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the mask; a number may be a Ramp."""
    precomputed: Callable | None = None
    """A second mask, made once for each training image at the size of the network, before crops and
    rotations, and carried through them; for masks that are too slow to be made in every step, or that cannot
    be compiled, such as `inverse_weight_mask`."""
    precomputed_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the precomputed mask; no Ramps."""

    def __post_init__(self):
        check_types(Term, self, "objective: a Term's ")
        _require(
            isinstance(self.scale, Ramp) or (_is_number(self.scale) and _is_finite(self.scale)),
            "objective: a Term's scale",
            self.scale,
            "a finite number or a Ramp",
        )


@dataclass(frozen=True)
class Input:
    """How an image becomes the input of the network."""

    size: tuple[int, int] | None = None
    """Height and width that every image is resized to; None keeps the size of the image."""
    crop: tuple[int, int] | None = None
    """Height and width of the random crops of training; None trains on whole images."""
    mean: float = 0.5
    """Subtracted from pixel values in 0 to 1."""
    deviation: float = 0.25
    """Divides the difference."""

    def __post_init__(self):
        check_types(Input, self, "input.")
        for name, size in (("input.size", self.size), ("input.crop", self.crop)):
            _require(size is None or min(size) >= 1, name, size, "at least 1")
            pixels = math.prod(size or ())
            takes = f"at most {_MAX_PIXELS} pixels; one image of this size would be {4 * pixels} bytes"
            _require(pixels <= _MAX_PIXELS, name, size, takes)
        _require(_is_finite(self.mean), "input.mean", self.mean, "a finite number")
        _require(0 < self.deviation <= _LARGEST, "input.deviation", self.deviation, "a number above 0")

    def normalize(self, images: jax.Array) -> jax.Array:
        """Return pixel values in 0 to 1 with the mean subtracted, divided by the deviation."""
        return (images - self.mean) / self.deviation


@dataclass(frozen=True)
class Sampling:
    """Which images training sees, what is pasted into them, and where it cuts its crops out of them."""

    balanced: bool = False
    """Alternate images with and without defects; an epoch is all of the rarer kind and as many others."""
    centered: float = 0.0
    """Probability that a crop is centered on a pixel of a defect, of a class drawn among those in the
    image."""
    inject: float | None = None
    """Probability that a defect of a training image is pasted into an image, before the crop is cut out;
    defects of rarer classes are pasted oftener. None for no defects."""
    passes: int = 1
    """Passes over these images that make an epoch, after which the validation part is evaluated."""

    def __post_init__(self):
        check_types(Sampling, self, "sampling.")
        _require(0 <= self.centered <= 1, "sampling.centered", self.centered, "a probability from 0 to 1")
        takes = "a probability above 0 and up to 1, or None for no defects"
        _require(self.inject is None or 0 < self.inject <= 1, "sampling.inject", self.inject, takes)
        _require(self.passes >= 1, "sampling.passes", self.passes, "at least 1")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images, made on the device; pixels rotated in from outside are void."""

    flip: bool = True
    """Mirror left to right and top to bottom, each with probability one half."""
    rotation: float = 10.0
    """Rotate by up to this many degrees either way."""
    brightness: float = 0.1
    """Add up to this much either way to pixel values in 0 to 1."""
    contrast: float = 0.1
    """Scale the contrast by a factor of up to this much above or below 1."""

    def __post_init__(self):
        check_types(Augmentation, self, "augmentation.")
        _require(0 <= self.rotation <= 180, "augmentation.rotation", self.rotation, "0 to 180 degrees")
        _require(0 <= self.brightness <= _LARGEST, "augmentation.brightness", self.brightness, "at least 0")
        _require(0 <= self.contrast <= 1, "augmentation.contrast", self.contrast, "0 to 1")


@dataclass(frozen=True)
class ExponentialDecay:
    """The paper's learning rate: multiplied by the same factor after each epoch."""

    initial: float = 1e-4
    """Learning rate of the first epoch after the warm-up."""
    factor: float = 0.995
    """Multiplies the rate after each epoch that follows the warm-up."""
    warmup: float = 0.0
    """Fraction of the run over which the rate first rises linearly, 0 to below 1."""

    def __post_init__(self):
        _check_rate(ExponentialDecay, self)
        name = "optimizer.learning_rate.factor"
        _require(0 < self.factor <= _LARGEST, name, self.factor, "a finite number above 0")

    def schedule(self, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        """Return the learning rate as a function of the step."""
        rising = int(self.warmup * epochs * steps_per_epoch)
        return optax.warmup_exponential_decay_schedule(
            init_value=self.initial / (rising + 1),
            peak_value=self.initial,
            warmup_steps=rising,
            transition_steps=steps_per_epoch,
            decay_rate=self.factor,
            staircase=True,
        )


@dataclass(frozen=True)
class CosineDecay:
    """A learning rate that falls to zero along half a cosine: the better choice for short runs."""

    initial: float = 1e-3
    """Learning rate of the first step after the warm-up."""
    warmup: float = 0.0
    """Fraction of the run over which the rate first rises linearly, 0 to below 1."""

    def __post_init__(self):
        _check_rate(CosineDecay, self)

    def schedule(self, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        """Return the learning rate as a function of the step."""
        steps = epochs * steps_per_epoch
        rising = int(self.warmup * steps)
        return optax.warmup_cosine_decay_schedule(
            init_value=self.initial / (rising + 1),
            peak_value=self.initial,
            warmup_steps=rising,
            decay_steps=steps,
        )


def _check_rate(kind: type, rate: ExponentialDecay | CosineDecay) -> None:
    name = "optimizer.learning_rate"
    check_types(kind, rate, f"{name}.")
    _require(0 < rate.initial <= _LARGEST, f"{name}.initial", rate.initial, "a finite number above 0")
    takes = "a fraction of the run from 0 to below 1"
    _require(0 <= rate.warmup < 1, f"{name}.warmup", rate.warmup, takes)


@dataclass(frozen=True)
class Adam:
    """Adam with an L2 penalty in the gradient, as in the paper (not the decoupled decay of AdamW)."""

    learning_rate: ExponentialDecay | CosineDecay = ExponentialDecay()
    """Learning-rate schedule."""
    weight_decay: float = 1e-6
    """Weight of the L2 penalty."""
    clip: float | None = None
    """Largest global norm of the gradient, before the penalty; a larger gradient is scaled down."""

    def __post_init__(self):
        check_types(Adam, self, "optimizer.")
        name = "optimizer.weight_decay"
        _require(0 <= self.weight_decay <= _LARGEST, name, self.weight_decay, "a finite number from 0 on")
        takes = "a number above 0, or None for no clipping"
        _require(self.clip is None or 0 < self.clip <= _LARGEST, "optimizer.clip", self.clip, takes)

    def transformation(self, epochs: int, steps_per_epoch: int) -> optax.GradientTransformation:
        """Return the optimizer for a run of this length."""
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
    """The terms whose sum is minimized, by name."""
    pretrained: str | None = None
    """File of pretrained weights, `.safetensors` or `.pth`, that the network starts from."""
    init_from: str | None = None
    """Run directory whose best state the network starts from; logits of another number of classes are new."""
    input: Input = Input()
    """How an image becomes the input of the network."""
    sampling: Sampling = Sampling()
    """Which images and crops training sees."""
    augmentation: Augmentation = Augmentation()
    """Random changes of the training images."""
    optimizer: Adam = Adam()
    """The optimizer and its learning rate."""
    ema: float | None = None
    """Decay per step, in 0 to 1, of an exponential moving average (EMA) of the parameters that is evaluated
    in their place."""
    epochs: int = 100
    """Passes over the training part; balanced sampling makes them shorter."""
    monitor: str = "headline"
    """Figure of `validation` in metrics.jsonl, such as classes.scratch.dice, by which the best checkpoint is
    chosen and training stops early; larger is better."""
    patience: int | None = None
    """Epochs without a better value of `monitor` after which training stops; None trains all epochs."""
    batch_size: int = 16
    """Images per step, over all devices."""
    accumulation: int = 1
    """Micro-batches per step, to save memory; norms take their statistics over one micro-batch."""
    skip: int = 0
    """Steps with a non-finite loss or gradient that are skipped before the next one stops the run."""
    seed: int = 0
    """Seed of the initial parameters, and of the order, crops and augmentation of the images."""

    def __post_init__(self):
        check_types(Config, self)
        for name in ("epochs", "batch_size", "accumulation"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.patience is None or self.patience >= 1, "patience", self.patience, "at least 1")
        _require(self.skip >= 0, "skip", self.skip, "at least 0")
        _require(self.seed >= 0, "seed", self.seed, "at least 0")
        _require(self.seed < _SEEDS, "seed", self.seed, f"at most {_SEEDS - 1}")
        takes = "a number between 0 and 1, or None for no average"
        _require(self.ema is None or 0 < self.ema < 1, "ema", self.ema, takes)
