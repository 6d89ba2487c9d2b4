"""What a config and its data make together: the network, its optimiser, the length of the run."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax

from balanced_jax.metrics import ConfusionCounts
from train.config import Config
from train.data.cache import Batch, Chosen, Examples
from train.data.pipeline import evaluation_batches, images_of_a_pass
from train.data.prepare import Prepared, prepare
from train.data.resize import Size
from train.errors import UserError
from train.measures.decision import best_thresholds
from train.measures.figures import stack
from train.measures.loss_shares import Findings
from train.parallel import (
    batch_size_here,
    check_batch_size,
    collect,
    deal,
    each_device,
    gather,
    replicate_here,
    share,
)
from train.run.checkpoints import Checkpoints
from train.training.early_stopping import check_stopping
from train.training.objective import check_objective
from train.training.step import (
    AXIS,
    State,
    cost_step,
    evaluated,
    initial_state,
    judge_step,
    threshold_step,
    train_step,
    validate_step,
)


class Facts(NamedTuple):
    """What an experiment has to know of its data; kept in the run directory."""

    classes: tuple[str, ...]
    """Names by class id; class 0 is the background."""
    channels: int
    """Of the images."""
    training_images: int
    defective_images: int
    """Of the training images, those that show a defect."""
    fingerprint: str
    """Digest of the data's content."""


class JudgedImage(NamedTuple):
    """What the network makes of one image, beside its label; maps uint8 [h, w] at its own size."""

    label: np.ndarray
    """Class ids; 255 is void."""
    classes: np.ndarray
    """Class ids: the most probable ones."""
    decided: np.ndarray
    """The same: those that the decision thresholds lead to."""
    boundary: np.ndarray
    """1 where the label touches another class."""
    scores: np.ndarray
    """How sure it is of each class, see `train.measures.ranking.image_scores`, float32 [classes]."""


Judge = Callable[[State, Examples], Iterator[JudgedImage]]


@dataclass(frozen=True)
class Experiment:
    """One experiment, ready to run."""

    config: Config
    facts: Facts

    @functools.cached_property
    def model(self) -> nn.Module:
        """The config's network, with the classes of the data."""
        return self.config.model.clone(num_classes=len(self.facts.classes))

    @property
    def images_per_pass(self) -> int:
        """Images of a pass over the training part, before its last partial batch is dropped."""
        defective = self.facts.defective_images if self.config.sampling.balanced else None
        return images_of_a_pass(self.facts.training_images, defective)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.config.sampling.passes * (self.images_per_pass // self.config.batch_size)

    @functools.cached_property
    def transformation(self) -> optax.GradientTransformation:
        """The optimiser for a run of this length."""
        return self.config.optimizer.transformation(self.config.epochs, self.steps_per_epoch)

    @functools.cached_property
    def random_state(self) -> Callable[[], State]:
        """A function that makes the state from the seed alone.

        Kept, because it takes seconds to compile and no time to run, and the report wants it again. At level
        1 the compiler is six times faster and the bits are the same.
        """
        images = (1, 64, 64, self.facts.channels)  # parameters depend on the channels alone
        return jax.jit(
            functools.partial(
                initial_state,
                self.model,
                self.transformation,
                images,
                self.config.seed,
                ema=self.config.ema,
            ),
            compiler_options={"xla_backend_optimization_level": 1},
        )

    def restore(self, checkpoints: Checkpoints, step: int) -> State:
        """The state of a checkpoint."""
        return checkpoints.restore(step, like=jax.eval_shape(self.random_state))

    def train_step(self) -> Callable:
        """One step of training, to be mapped over devices."""
        return functools.partial(
            train_step,
            model=self.model.clone(axis_name=AXIS),
            transformation=self.transformation,
            augmentation=self.config.augmentation,
            what=self.config.input,
            seed=self.config.seed,
            skip=self.config.skip,
            ema=self.config.ema,
            accumulation=self.config.accumulation,
            **self._objective,
        )

    def chooser(self, canvas: Size) -> Callable[[State, Examples], np.ndarray]:
        """A function `(state, examples)`: the decision threshold of each defect class.

        It is compiled once, as the next three are.

        Args:
            canvas: height and width that hold the largest image.
        """
        view = self._viewer(functools.partial(threshold_step, canvas=canvas), canvas)
        return lambda state, examples: best_thresholds(stack([counts for _, counts in view(state, examples)]))

    def judge(self, canvas: Size, thresholds: np.ndarray) -> Judge:
        """A function `(state, examples)` that yields what the network makes of each.

        Args:
            canvas: as above.
            thresholds: of each defect class.
        """
        view = self._viewer(functools.partial(judge_step, canvas=canvas, thresholds=thresholds), canvas)

        def judge(state: State, examples: Examples) -> Iterator[JudgedImage]:
            for example, judged in view(state, examples):
                maps = (example["label"], judged.classes, judged.decided, judged.boundary)
                label, classes, decided, boundary = (_cut(x, example) for x in maps)
                yield JudgedImage(label, classes, decided, boundary, judged.scores)

        return judge

    def validator(self, canvas: Size) -> Callable[[State, Examples], tuple[ConfusionCounts, Findings]]:
        """A function `(state, examples)`: counts, and who holds the objective, both [images, ...].

        Each host looks at its share of the examples and learns what the others have found.
        """
        step = functools.partial(validate_step, canvas=canvas, **self._objective)
        view = self._viewer(step, canvas)

        def validate(state: State, examples: Examples) -> tuple[ConfusionCounts, Findings]:
            mine = Chosen(examples, share(len(examples)))
            return gather(stack([found for _, found in view(state, mine)]), len(examples))

        return validate

    def cost_viewer(self, canvas: Size) -> Callable[[State, Examples], Iterator[np.ndarray]]:
        """A function `(state, examples)` that yields the cost of each pixel, as large as the network sees it.

        The objective is that of the state's place in the run; void pixels are NaN.
        """
        view = self._viewer(functools.partial(cost_step, **self._objective), canvas)

        def costs(state: State, examples: Examples) -> Iterator[np.ndarray]:
            for example, cost in view(state, examples):
                height, width = example["extent"].astype(int)
                void = example["seen"] >= len(self.facts.classes)
                yield np.where(void, np.nan, cost)[:height, :width]

        return costs

    @property
    def _objective(self) -> dict[str, Any]:
        return {"objective": self.config.objective, "steps": self.config.epochs * self.steps_per_epoch}

    def _viewer(
        self, step: Callable, canvas: Size
    ) -> Callable[[State, Examples], Iterator[tuple[Batch, Any]]]:
        """A function `(state, examples)`: each example, as its batch has it, and what a step makes of it."""
        mapped = each_device(functools.partial(step, model=self.model, what=self.config.input))

        def view(state: State, examples: Examples) -> Iterator[tuple[Batch, Any]]:
            state = replicate_here(evaluated(state))
            batch_size = batch_size_here(self.config.batch_size)
            for batch in evaluation_batches(
                examples, size=self.config.input.size, batch_size=batch_size, canvas=canvas
            ):
                outputs = collect(mapped(state, deal(batch)))
                for i in np.flatnonzero(batch["real"]):
                    yield jax.tree.map(lambda x, i=i: x[i], (batch, outputs))

        return view


def _cut(classes: np.ndarray, example: Batch) -> np.ndarray:
    """The part of a canvas that is the image."""
    height, width = example["size"].astype(int)
    return classes[:height, :width].astype(np.uint8)


def set_up(config: Config, *, data_dir: Path, source: Path | None) -> tuple[Experiment, Prepared]:
    """Checks a config and prepares its data.

    Raises:
        UserError: says which field, or which file, is wrong and what to do.
    """
    check_numbers(config)
    check_objective(config.objective)
    check_batch_size(config.batch_size, config.accumulation)
    data = prepare(config.data, data_dir=data_dir, source=source)
    training = data.parts["train"]
    facts = Facts(data.classes, data.channels, len(training), sum(training.defective), data.fingerprint)
    experiment = Experiment(config, facts)
    check_model(config.model, data.classes)
    check_sampling(config, facts)
    check_stopping(config, data.classes)
    if experiment.steps_per_epoch == 0:
        raise UserError(
            f"batch_size: {config.batch_size} is more than the {experiment.images_per_pass} training images "
            "of a pass; take a smaller one"
        )
    if not 0 <= config.skip < experiment.steps_per_epoch:
        raise UserError(
            f"skip: is {config.skip}, takes 0 to {experiment.steps_per_epoch - 1}, less than an epoch's steps"
        )
    if config.input.size is None and config.input.crop is None and len(set(training.sizes)) > 1:
        raise UserError(
            "input: the training images differ in size; give --input.size HEIGHT WIDTH to resize them, or "
            "--input.crop HEIGHT WIDTH to train on windows"
        )
    return experiment, data


def check_sampling(config: Config, facts: Facts) -> None:
    """Refuses a way to sample that these data or the input do not allow.

    Raises:
        UserError: names the field and what to change.
    """
    centred = config.sampling.centred
    if not 0 <= centred <= 1:
        raise UserError(f"sampling.centred: {centred} is no chance; take a number from 0 to 1")
    if centred and config.input.crop is None:
        raise UserError(
            f"sampling.centred: {centred} has no effect on whole images; give --input.crop HEIGHT WIDTH, or "
            "leave it out"
        )
    defective, images = facts.defective_images, facts.training_images
    if config.sampling.balanced and defective in (0, images):
        raise UserError(
            f"sampling.balanced: {defective} of the {images} training images show a defect, so there are no "
            "two kinds to take turns; leave it out"
        )


def check_numbers(config: Config) -> None:
    """Refuses counts and sizes below 1, and numbers of the recipe out of their range.

    Raises:
        UserError: names the field.
    """
    numbers = {
        "epochs": (config.epochs,),
        "patience": () if config.patience is None else (config.patience,),
        "batch_size": (config.batch_size,),
        "accumulation": (config.accumulation,),
        "sampling.passes": (config.sampling.passes,),
        "input.size": config.input.size or (),
        "input.crop": config.input.crop or (),
    }
    for name, values in numbers.items():
        if min(values, default=1) < 1:
            raise UserError(f"{name}: is {' '.join(map(str, values))}, takes at least 1")
    warmup, clip = config.optimizer.learning_rate.warmup, config.optimizer.clip
    if not 0 <= warmup < 1:
        raise UserError(
            f"optimizer.learning_rate.warmup: is {warmup}, takes a share of the run from 0 to below 1"
        )
    if clip is not None and not clip > 0:
        raise UserError(f"optimizer.clip: is {clip}, takes a number above 0, or None for no clipping")
    if config.ema is not None and not 0 < config.ema < 1:
        raise UserError(f"ema: is {config.ema}, takes a number between 0 and 1, or None for no average")


def check_model(model: nn.Module, classes: Sequence[str]) -> None:
    """Refuses a network with a field that is not the config's to set: the data says the number of classes.

    Raises:
        UserError: names the field and its value.
    """
    default = {field.name: field.default for field in dataclasses.fields(model)}
    if "num_classes" not in default:
        raise UserError(f"model: {type(model).__name__} has no field num_classes; add it, the data sets it")
    declared = getattr(model, "num_classes", None)
    if declared not in (default["num_classes"], len(classes)):
        raise UserError(
            f"model.num_classes: is {declared}, but the data has {len(classes)} classes "
            f"({', '.join(classes)}); leave it out"
        )
    axis = getattr(model, "axis_name", None)
    if axis is not None:
        raise UserError(f"model.axis_name: is {axis!r}; leave it out, training sets it")
