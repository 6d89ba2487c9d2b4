"""What is compiled: for each row the program of the library, and those that it is compared with."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from balanced_jax import losses, masks
from balanced_jax.diagnostics import diagnose
from balanced_jax.metrics import confusion_counts
from balanced_jax.models import DeepLabV3, FCN8s, PSPNet, SegNet, UNet
from configs import severstal
from tests.benchmarks.compiled import plain
from tests.benchmarks.compiled.targets import Name
from train.config import Augmentation
from train.data.facts import DataFacts
from train.inference.steps import validation_step
from train.training.augment import augment
from train.training.experiment import Experiment

What = Literal["losses", "seconds", "masks", "metrics", "augmentation", "steps"]
DType = Literal["float32", "bfloat16"]

SHAPE = (8, 512, 512)
"""Images, height and width of losses, masks and metrics."""
STEP_SIZE = (256, 512)
"""Height and width of the images of the augmentation and the steps."""
STEP_CLASSES = 5
NETWORKS = {kind.__name__: kind for kind in (UNet, FCN8s, SegNet, DeepLabV3, PSPNet)}
OF_LABEL = (
    "softmax_cross_entropy",
    "softmax_truncated_cross_entropy",
    "softmax_focal_loss",
    "generalized_cross_entropy",
)
"""Losses of one label per pixel, which are compiled with given weights."""


@dataclass(frozen=True)
class Selection:
    """What to compile."""

    what: tuple[What, ...] = ("losses", "masks", "metrics", "augmentation", "steps", "seconds")
    """Kinds of programs. "seconds": losses of many classes, for the time to compile; all that is compiled for
    the CPU."""
    name: tuple[str, ...] = ()
    """Functions and networks by name; all if empty."""
    classes: tuple[int, ...] = (2, 5, 12)
    """Numbers of classes."""
    many_classes: tuple[int, ...] = (2, 5, 12, 21, 50, 200)
    """Numbers of classes under "seconds"."""
    dtype: tuple[DType, ...] = ("float32", "bfloat16")
    """Types of the logits, and computing types of the networks."""
    images: int = 4
    """Images of a chip in the augmentation and the steps."""
    alone: bool = False
    """Leave out what the library is compared with."""


class Program(NamedTuple):
    """A function of the abstract arguments of one device."""

    function: Callable
    arguments: tuple[Any, ...]
    mapping: dict[str, Any] | None = None
    """Arguments of `jax.pmap` for a function that is mapped over all devices of the target."""


class Row(NamedTuple):
    """A row of the table."""

    what: What
    name: str
    classes: int | None
    dtype: str
    """Of the logits, or the computing type of the network; "" where there is none."""
    make: Callable[[], dict[str, Program]]
    """Returns the programs: "library", "plain", "optax"."""


def rows(selection: Selection, target: Name) -> Iterator[Row]:
    """Yield the selected rows of a target."""
    kinds = {
        "losses": loss_rows(selection.classes, selection.dtype),
        "masks": mask_rows(selection.classes),
        "metrics": metric_rows(selection.classes, selection.dtype),
        "augmentation": augmentation_rows(selection.images),
        "steps": step_rows(selection.dtype, selection.images),
        "seconds": second_rows(selection.many_classes),
    }
    for what in selection.what:
        for row in kinds[what]:
            known = not selection.name or {row.name, row.name.split(",")[0]} & set(selection.name)
            if known and (target != "cpu" or what == "seconds"):
                yield alone(row) if selection.alone else row


def alone(row: Row) -> Row:
    """Return a row without what the library is compared with."""
    return row._replace(make=lambda: {"library": row.make()["library"]})


def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def value_and_gradient(loss: Callable) -> Callable:
    """Return the mean of a loss and its gradient by the first argument, as a function."""
    return jax.value_and_grad(lambda logits, *others: jnp.mean(loss(logits, *others)))


def loss_rows(classes: tuple[int, ...], dtypes: tuple[DType, ...]) -> Iterator[Row]:
    """Yield all public losses."""
    for dtype in dtypes:
        for c in classes:
            for name in losses.__all__:
                if name not in ("masked_mean", "truncated_cross_entropy"):
                    yield Row("losses", name, c, dtype, functools.partial(_loss, name, c, dtype))
        error = (array(dtype, *SHAPE),)
        yield Row(
            "losses", "truncated_cross_entropy", None, dtype,
            lambda error=error: {
                "library": Program(value_and_gradient(losses.truncated_cross_entropy), error),
                "plain": Program(value_and_gradient(plain.truncated_cross_entropy), error),
            },
        )  # fmt: skip


def _loss(name: str, classes: int, dtype: str) -> dict[str, Program]:
    """Return the programs of a loss."""
    labels = array(jnp.int32, *SHAPE, classes) if name.startswith("sigmoid") else array(jnp.int32, *SHAPE)
    if name.endswith("_with_probabilities"):
        labels = array(jnp.float32, *SHAPE, classes)
    arguments = (array(dtype, *SHAPE, classes), labels)
    loss = getattr(losses, name)
    functions = {"library": loss, "plain": getattr(plain, name)}
    if name in OF_LABEL:
        arguments = (*arguments, array(jnp.float32, *SHAPE))
        functions["library"] = lambda logits, labels, weights: loss(logits, labels, weights=weights)
    if name in OPTAX:
        functions["optax"] = OPTAX[name]
    return {side: Program(value_and_gradient(function), arguments) for side, function in functions.items()}


def _optax_cross_entropy(logits, labels, weights):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels) * weights


def _optax_dice(dice: Callable, logits, labels):
    return dice(logits, plain.one_hot(labels, logits.shape[-1]).astype(logits.dtype))


OPTAX: dict[str, Callable] = {
    **dict.fromkeys(OF_LABEL, _optax_cross_entropy),
    "sigmoid_truncated_cross_entropy": optax.sigmoid_binary_cross_entropy,
    "sigmoid_focal_loss": optax.sigmoid_focal_loss,
    "dice_loss": functools.partial(_optax_dice, optax.losses.dice_loss),
    "generalized_dice_loss": functools.partial(_optax_dice, optax.losses.multiclass_generalized_dice_loss),
}
"""The nearest loss of optax."""


def second_rows(classes: tuple[int, ...]) -> Iterator[Row]:
    """Yield the losses of many classes, without what they are compared with."""
    for row in loss_rows(classes, ("float32",)):
        if row.classes:
            yield alone(row)._replace(what="seconds")


def mask_rows(classes: tuple[int, ...]) -> Iterator[Row]:
    """Yield all masks that can be jitted."""
    names = [name for name in masks.__all__ if name not in ("inverse_weight_mask", "skeleton_mask")]
    for c in classes:
        labels = array(jnp.int32, *SHAPE)
        for name in names:
            functions = {"library": getattr(masks, name), "plain": getattr(plain, name)}
            arguments: tuple[Any, ...] = (labels,)
            if name == "fixed_class_weights":
                arguments = (labels, array(jnp.float32, c))
                functions["library"] = lambda y, c, values: masks.fixed_class_weights(y, c, values=values)
            programs = {
                side: Program(lambda y, *rest, f=function, c=c: f(y, c, *rest), arguments)
                for side, function in functions.items()
            }
            yield Row("masks", name, c, "", lambda programs=programs: programs)
        convolution = Program(lambda y, c=c: masks.confusion_mask(y, c, method="conv"), (labels,))
        by_slices = Program(lambda y, c=c: plain.confusion_mask(y, c), (labels,))
        programs = {"library": convolution, "plain": by_slices}
        yield Row("masks", "confusion_mask, conv", c, "", lambda programs=programs: programs)


def metric_rows(classes: tuple[int, ...], dtypes: tuple[DType, ...]) -> Iterator[Row]:
    """Yield the confusion counts and `diagnose` of the balanced loss."""
    labels = array(jnp.int32, *SHAPE)
    for c in classes:
        counts = {
            side: Program(lambda p, y, f=function, c=c: f(p, y, c), (labels, labels))
            for side, function in (("library", confusion_counts), ("plain", plain.confusion_counts))
        }
        yield Row("metrics", "confusion_counts", c, "", lambda counts=counts: counts)
        for dtype in dtypes:
            arguments = (array(dtype, *SHAPE, c), labels)
            sums = {
                "library": Program(functools.partial(diagnose, losses.balanced_loss), arguments),
                "plain": Program(plain.diagnose, arguments),
            }
            yield Row("metrics", "diagnose", c, dtype, lambda sums=sums: sums)


def augmentation_rows(images: int) -> Iterator[Row]:
    """Yield the augmentation of the images of a step, all changes with their default strengths."""
    arguments = (
        array(jnp.int32, images),
        array(jnp.float32, images, *STEP_SIZE, 1),
        array(jnp.int32, images, *STEP_SIZE),
    )

    def of_batch(change: Callable) -> Callable:
        def changed(index, images, labels):
            keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), index)
            return jax.vmap(functools.partial(change, augmentation=Augmentation()))(keys, images, labels)

        return changed

    functions = {"library": augment, "plain": plain.augment}
    programs = {side: Program(of_batch(change), arguments) for side, change in functions.items()}
    yield Row("augmentation", "augment", None, "", lambda: programs)


def step_rows(dtypes: tuple[DType, ...], images: int) -> Iterator[Row]:
    """Yield the training and the evaluation step of all networks, as `configs/severstal.py` takes them."""
    for name in NETWORKS:
        for dtype in dtypes:
            training = functools.partial(_training_step, name, dtype, images)
            evaluation = functools.partial(_evaluation_step, name, dtype, images)
            yield Row("steps", f"{name}, training step", STEP_CLASSES, dtype, training)
            yield Row("steps", f"{name}, evaluation step", STEP_CLASSES, dtype, evaluation)


def _experiment(name: str, dtype: str) -> tuple[Experiment, Any]:
    """Return the experiment of a network and its abstract state."""
    config = dataclasses.replace(severstal.config, model=NETWORKS[name](dtype=dtype))
    facts = DataFacts(tuple(map(str, range(STEP_CLASSES))), 1, training_images=7854, defective_images=4000,
                      fingerprint="")  # fmt: skip
    experiment = Experiment(config, facts)
    return experiment, jax.eval_shape(experiment.random_state)


def _training_step(name: str, dtype: str, images: int) -> dict[str, Program]:
    experiment, state = _experiment(name, dtype)
    batch = {
        "image": array(jnp.uint8, images, *STEP_SIZE, 1),
        "label": array(jnp.uint8, images, *STEP_SIZE),
        "masks": {},
        "index": array(jnp.int32, images),
    }
    mapping = {"in_axes": (None, 0), "out_axes": None, "donate_argnums": 0}  # as in train.parallel
    return {"library": Program(experiment.train_step(), (state, batch), mapping)}


def _evaluation_step(name: str, dtype: str, images: int) -> dict[str, Program]:
    experiment, state = _experiment(name, dtype)
    config = experiment.config
    step = functools.partial(
        validation_step,
        model=experiment.model,
        input=config.input,
        canvas=STEP_SIZE,
        objective=config.objective,
        steps=experiment.steps,
    )
    batch = {
        "image": array(jnp.uint8, images, *STEP_SIZE, 1),
        "label": array(jnp.uint8, images, *STEP_SIZE),
        "input_label": array(jnp.uint8, images, *STEP_SIZE),
        "masks": {},
        "extent": array(jnp.float32, images, 2),
        "size": array(jnp.float32, images, 2),
    }
    return {"library": Program(step, (state, batch), {"in_axes": (None, 0)})}
