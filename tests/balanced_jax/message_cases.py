"""Run alone, without the shape checker: prints what an import brings in and what wrong arguments raise."""

import json
import sys

import balanced_jax.diagnostics
import balanced_jax.losses
import balanced_jax.masks
import balanced_jax.metrics

IMPORTED = sorted({name.partition(".")[0] for name in sys.modules})

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from balanced_jax.diagnostics import (  # noqa: E402
    boundary_and_inside,
    branches,
    diagnose,
    group_sums,
    loss_and_gradient,
)
from balanced_jax.logits import adjust_logits, penalize_neighbors  # noqa: E402
from balanced_jax.losses import (  # noqa: E402
    all_entries_truncated_cross_entropy,
    balanced_loss,
    dice_loss,
    dice_loss_with_probabilities,
    focal_tversky_loss,
    generalized_cross_entropy,
    iou_loss,
    iou_loss_with_probabilities,
    lovasz_softmax_loss,
    masked_mean,
    sigmoid_balanced_loss,
    sigmoid_focal_loss,
    sigmoid_truncated_cross_entropy,
    softmax_cross_entropy_with_probabilities,
    softmax_focal_loss,
    softmax_truncated_cross_entropy,
    truncated_cross_entropy,
    tversky_loss,
)
from balanced_jax.masks import (  # noqa: E402
    balance_mask,
    class_weight_mask,
    confusion_mask,
    fixed_class_weights,
    inverse_weight_mask,
    skeleton_mask,
)
from balanced_jax.metrics import ConfusionCounts, confusion_counts, iou  # noqa: E402
from balanced_jax.models import DeepLabV3, FCN8s, SegNet, UNet  # noqa: E402
from balanced_jax.models.layers import Mode, Unit  # noqa: E402
from balanced_jax.targets import label_shares  # noqa: E402

Z, Y, E = np.zeros((2, 4, 5, 3), np.float32), np.zeros((2, 4, 5), np.int32), np.zeros(3, np.float32)
LOSSES = [
    getattr(balanced_jax.losses, name)
    for name in balanced_jax.losses.__all__
    if name not in ("masked_mean", "truncated_cross_entropy") and not name.endswith("_with_probabilities")
]
SIGMOID = [f for f in LOSSES if f.__name__.startswith("sigmoid")]
SOFTMAX = [f for f in LOSSES if f not in SIGMOID]
YS = np.zeros((2, 4, 5, 3), np.int32)  # labels of the sigmoid losses
MASKS = [getattr(balanced_jax.masks, name) for name in balanced_jax.masks.__all__]
REQUIRED = {fixed_class_weights: {"values": (1.0, 2.0, 3.0)}}  # options without default
COUNTS = ConfusionCounts(*np.zeros((3, 1, 2), int))


def init(layer):
    return jax.eval_shape(lambda: layer.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1))))


def numbers_of_numpy(**fields):
    """Say in an error what the network makes of the numbers."""
    network = UNet(**fields)
    raise ValueError(" ".join(f"{name}={getattr(network, name)!r}" for name in fields))


def common(f, y):
    """What every loss is asked, with the labels it takes."""
    name = f.__name__
    return {
        f"{name}: integer logits": lambda: f(Z.astype(int), y),
        f"{name}: float labels": lambda: f(Z, y.astype(np.float32)),
        f"{name}: boolean labels": lambda: f(Z, y > 0),
        f"{name}: logits of a row": lambda: f(Z[0, 0], y[0, 0]),
        f"{name}: other labels": lambda: f(Z, y[:, :3]),
        f"{name}: other weights": lambda: f(Z, y, weights=np.ones(5, np.float32)),
        f"{name}: under jit": lambda: jax.jit(f)(Z, y[:, :3]),
    }


CASES = {
    **{name: case for f in SOFTMAX for name, case in common(f, Y).items()},
    **{name: case for f in SIGMOID for name, case in common(f, YS).items()},
    **{f"{f.__name__}: one class": lambda f=f: f(Z[..., :1], Y) for f in SOFTMAX},
    **{f"{f.__name__}: no class in logits": lambda f=f: f(Z[..., :0], YS[..., :0]) for f in SIGMOID},
    **{f"{f.__name__}: class indices": lambda f=f: f(Z, Y) for f in SIGMOID},
    **{
        f"{f.__name__}: {name}": lambda f=f, labels=labels, classes=classes: f(
            labels, classes, **REQUIRED.get(f, {})
        )
        for f in MASKS
        for name, labels, classes in (
            ("float labels", Y.astype(np.float32), 3),
            ("labels of a row", Y[0, 0], 3),
            ("no class", Y, 0),
        )
    },
    **{
        f"{f.__name__}: classes traced": lambda f=f: jax.jit(f)(Y, 3, **REQUIRED.get(f, {}))
        for f in MASKS
        if f not in (inverse_weight_mask, skeleton_mask)
    },
    **{
        f"{f.__name__}: {layout}": lambda f=f, labels=labels: f(Z, labels)
        for f in SOFTMAX
        for layout, labels in (
            ("one-hot labels", YS),
            ("one-hot labels, channels first", np.moveaxis(YS, -1, -3)),
            ("labels with a channel", Y[..., None]),
            ("labels with a channel first", Y[:, None]),
        )
    },
    **{f"{f.__name__}: flags, channels first": lambda f=f: f(Z, np.moveaxis(YS, -1, -3)) for f in SIGMOID},
    "logits, channels first": lambda: dice_loss(np.moveaxis(Z, -1, -3), Y),
    "eps_inf of 1": lambda: truncated_cross_entropy(E, 1.0, 1.0),
    "eps_sup of 0": lambda: softmax_truncated_cross_entropy(Z, Y, eps_inf=0, eps_sup=0),
    "eps_sup above 1": lambda: balanced_loss(Z, Y, eps_sup=np.float32(1.5)),
    "eps_inf below 0": lambda: truncated_cross_entropy(E, jnp.float32(-0.5)),
    "eps_inf at eps_sup": lambda: softmax_truncated_cross_entropy(
        Z, Y, eps_inf=0.5, eps_sup=jnp.float32(0.5)
    ),
    "eps_inf above eps_sup": lambda: truncated_cross_entropy(E, 0.8, 0.2),
    "eps_inf above eps_sup under jit": lambda: jax.jit(lambda z: balanced_loss(z, Y, eps_inf=0.8))(Z),
    "eps_inf nan": lambda: truncated_cross_entropy(E, float("nan")),
    "eps_inf of a row": lambda: softmax_truncated_cross_entropy(Z, Y, eps_inf=np.zeros(5)),
    "integer error": lambda: truncated_cross_entropy(np.zeros(3, int)),
    "q of 0": lambda: generalized_cross_entropy(Z, Y, q=0),
    "q above 1": lambda: generalized_cross_entropy(Z, Y, q=1.5),
    "integer targets": lambda: softmax_cross_entropy_with_probabilities(Z, YS),
    "targets of labels": lambda: softmax_cross_entropy_with_probabilities(Z, Z[..., 0]),
    "weights of targets": lambda: dice_loss_with_probabilities(Z, Z, weights=Z),
    "one class with probabilities": lambda: iou_loss_with_probabilities(Z[..., :1], Z[..., :1]),
    "frequencies of two": lambda: adjust_logits(Z, (0.5, 0.5)),
    "frequency of 0": lambda: adjust_logits(Z, (0.5, 0.5, 0.0)),
    "tau infinite": lambda: adjust_logits(Z, (0.5, 0.25, 0.25), tau=np.inf),
    "logits of a row to adjust": lambda: adjust_logits(E, (0.5, 0.25, 0.25)),
    "neighbors of other labels": lambda: penalize_neighbors(Z, Y[:, :3]),
    "neighbors of float labels": lambda: penalize_neighbors(Z, Z[..., 0]),
    "neighbors in an even window": lambda: penalize_neighbors(Z, Y, window=4),
    "shares in an even window": lambda: label_shares(Y, 3, window=2),
    "shares of float labels": lambda: label_shares(Z[..., 0], 3),
    "skeletons under jit": lambda: jax.jit(lambda y: skeleton_mask(y, 3))(Y),
    "skeletons thinned": lambda: skeleton_mask(Y, 3, dilations=-1),
    "gamma below 0": lambda: softmax_focal_loss(Z, Y, gamma=-1),
    "alpha of two": lambda: softmax_focal_loss(Z, Y, alpha=(0.5, 0.5)),
    "alpha below 0": lambda: softmax_focal_loss(Z, Y, alpha=(1, -1, 1)),
    "alpha of one": lambda: softmax_focal_loss(Z, Y, alpha=0.25),
    "gamma below 0 with sigmoid": lambda: sigmoid_focal_loss(Z, YS, gamma=-1),
    "alpha above 1 with sigmoid": lambda: sigmoid_focal_loss(Z, YS, alpha=1.5),
    "alpha of many with sigmoid": lambda: sigmoid_focal_loss(Z, YS, alpha=np.ones(3)),
    "eps_inf above eps_sup with sigmoid": lambda: sigmoid_truncated_cross_entropy(Z, YS, eps_inf=0.8),
    "eps_sup above 1 of all entries": lambda: all_entries_truncated_cross_entropy(Z, Y, eps_sup=2),
    "window even with sigmoid": lambda: sigmoid_balanced_loss(Z, YS, window=4),
    "alpha of 0 in Tversky": lambda: tversky_loss(Z, Y, alpha=0),
    "beta below 0 in Tversky": lambda: tversky_loss(Z, Y, beta=-1.0),
    "beta of 0 in focal Tversky": lambda: focal_tversky_loss(Z, Y, beta=0),
    "gamma of 0 in focal Tversky": lambda: focal_tversky_loss(Z, Y, gamma=0),
    "smoothing below 0 in IoU": lambda: iou_loss(Z, Y, smoothing=-1),
    "classes unknown to Lovász": lambda: lovasz_softmax_loss(Z, Y, classes=3),  # pyright: ignore[reportArgumentType]
    "values of two": lambda: fixed_class_weights(Y, 3, values=(1.0, 9.0)),
    "values of one": lambda: fixed_class_weights(Y, 3, values=9.0),
    "values of two under jit": lambda: jax.jit(lambda v: fixed_class_weights(Y, 3, values=v))((1.0, 9.0)),
    "values below 0": lambda: fixed_class_weights(Y, 3, values=[1, -2, 3]),
    "values infinite": lambda: fixed_class_weights(Y, 3, values=np.array([1, np.inf, 1])),
    "values nan under jit": lambda: jax.jit(lambda y: fixed_class_weights(y, 3, values=(1, np.nan, 1)))(Y),
    "inverse weights under jit": lambda: jax.jit(lambda y: inverse_weight_mask(y, 3))(Y),
    "inverse weights crossed": lambda: inverse_weight_mask(Y, 3, minimum=5, maximum=2),
    "inverse weights below 0": lambda: inverse_weight_mask(Y, 3, minimum=-1),
    "smoothing of 0": lambda: dice_loss(Z, Y, smoothing=0),
    "classes unknown": lambda: dice_loss(Z, Y, classes="some"),  # pyright: ignore[reportArgumentType]
    "beta of 1": lambda: class_weight_mask(Y, 3, beta=1.0),
    "beta below 0": lambda: balance_mask(Y, 3, beta=-0.1),
    "beta of 1 in the loss": lambda: balanced_loss(Z, Y, beta=jnp.float32(1)),
    "floor below 0": lambda: class_weight_mask(Y, 3, floor=-1),
    "power infinite": lambda: class_weight_mask(Y, 3, power=np.inf),
    "counting unknown": lambda: class_weight_mask(Y, 3, counting="pixel"),  # pyright: ignore[reportArgumentType]
    "window even": lambda: confusion_mask(Y, 3, window=4),
    "window of 1": lambda: balanced_loss(Z, Y, window=1),
    "window float": lambda: confusion_mask(Y, 3, window=7.0),  # pyright: ignore[reportArgumentType]
    "window traced": lambda: jax.jit(lambda w: confusion_mask(Y, 3, window=w))(7),
    "window of the loss traced": lambda: jax.jit(balanced_loss)(Z, Y, window=3),
    "relative traced": lambda: jax.jit(lambda r: class_weight_mask(Y, 3, relative=r))(True),
    "mass traced": lambda: jax.jit(lambda m: confusion_mask(Y, 3, preserve_class_mass=m))(True),
    "classes of counts traced": lambda: jax.jit(confusion_counts)(Y, Y, 3),
    "minimum above 1": lambda: confusion_mask(Y, 3, minimum=2),
    "method unknown": lambda: confusion_mask(Y, 3, method="fft"),  # pyright: ignore[reportArgumentType]
    "confusion of one class": lambda: confusion_mask(Y, 1),
    "values of a row": lambda: masked_mean(np.ones(4, np.float32)),
    "values integer": lambda: masked_mean(Y),
    "where float": lambda: masked_mean(Z[..., 0], Z[..., 0]),
    "where of one image": lambda: masked_mean(Z[..., 0], Y[0] == 0),
    "predictions of another size": lambda: confusion_counts(Y[:, :3], Y, 2),
    "predictions float": lambda: confusion_counts(Z[..., 0], Y, 2),
    "loss of one number": lambda: loss_and_gradient(lambda z, y: z.mean(), Z, Y),
    "loss of integer logits": lambda: diagnose(softmax_focal_loss, Z.astype(int), Y),
    "branches of eps_inf above eps_sup": lambda: diagnose(softmax_focal_loss, Z, Y, eps_inf=0.8),
    "branches of eps_sup above 1": lambda: branches(Z, Y, eps_sup=1.5),
    "boundary of float labels": lambda: boundary_and_inside(Z[..., 0], 3),
    "groups of numbers": lambda: group_sums(Z[..., 0], Z),
    "groups of one image": lambda: group_sums(Z[..., 0], Z[0] > 0),
    "groups of integer values": lambda: group_sums(Y, Z > 0),
    "norm unknown": lambda: SegNet(norm="instance"),  # pyright: ignore[reportArgumentType]
    "norm of FCN8s alone": lambda: SegNet(norm="none"),  # pyright: ignore[reportArgumentType]
    "norm unknown to a layer": lambda: init(Unit(8, Mode(train=False, norm="instance"))),
    "output_stride unknown": lambda: DeepLabV3(output_stride=4),  # pyright: ignore[reportArgumentType]
    "blocks of two stages": lambda: DeepLabV3(blocks=(3, 4)),  # pyright: ignore[reportArgumentType]
    "decoder of text": lambda: DeepLabV3(decoder="no"),  # pyright: ignore[reportArgumentType]
    "width below 0": lambda: SegNet(width=-1),
    "width true": lambda: SegNet(width=True),
    "width of text": lambda: SegNet(width="64"),  # pyright: ignore[reportArgumentType]
    "depth of 100": lambda: UNet(depth=100),
    "dtype unknown": lambda: UNet(dtype="float99"),
    "dtype of integers": lambda: UNet(dtype="int32"),
    "dropout of 2": lambda: UNet(dropout=2.0),
    "dropout nan": lambda: FCN8s(dropout=float("nan")),
    "numbers of NumPy": lambda: numbers_of_numpy(width=np.int8(4), dropout=np.float32(0.5), remat=np.True_),
    "reading unknown": lambda: iou(COUNTS, "mean"),  # pyright: ignore[reportArgumentType]
}


def raised(case):
    try:
        case()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["nothing", ""]


if __name__ == "__main__":
    print(json.dumps({"imported": IMPORTED, "raised": {name: raised(case) for name, case in CASES.items()}}))
