"""Make `losses.npz` and `networks.npz`, PyTorch's answers: `python -m tests.references.make_references`.

Needs `torch==2.13.0`, which the suite does not. All is computed in float64 from float32 numbers.
"""

import json
from pathlib import Path

import numpy as np

from tests.references import networks
from tests.references.networks import CASES, Case

# The test run imports this file in search of examples, also without PyTorch: only the functions import it.

SHAPE, CLASSES = (2, 7, 6), (2, 3, 5)


def cases():
    """Logits, labels with void pixels, positive weights and a cotangent, for several numbers of classes."""
    for num_classes in CLASSES:
        rng = np.random.default_rng(num_classes)
        yield {
            "logits": rng.normal(scale=4, size=(*SHAPE, num_classes)).astype(np.float32),
            "labels": np.where(rng.random(SHAPE) < 0.2, 255, rng.integers(0, num_classes, SHAPE)).astype(
                np.uint8
            ),
            "weights": rng.uniform(0.1, 2, SHAPE).astype(np.float32),
            "cotangent": rng.normal(size=SHAPE).astype(np.float32),
        }


def cross_entropy(case):
    """Weighted map of `torch.nn.functional.cross_entropy`, and its gradient under the cotangent."""
    import torch  # pyright: ignore[reportMissingImports]

    logits = torch.tensor(case["logits"], dtype=torch.float64, requires_grad=True)
    cost = torch.nn.functional.cross_entropy(
        logits.movedim(-1, 1), torch.tensor(case["labels"]).long(), reduction="none", ignore_index=255
    )
    cost = cost * torch.tensor(case["weights"])
    gradient = torch.autograd.grad(cost, logits, torch.tensor(case["cotangent"], dtype=torch.float64))[0]
    return cost.detach().numpy(), gradient.numpy()


def of_regions(case, loss):
    """Mean over images of the mean over labeled classes of `loss(p, y, w)`, and its gradient."""
    import torch  # pyright: ignore[reportMissingImports]

    logits = torch.tensor(case["logits"], dtype=torch.float64, requires_grad=True)
    labels, weights = torch.tensor(case["labels"]).long(), torch.tensor(case["weights"]).double()
    images = []
    for p, label, weight in zip(torch.softmax(logits, dim=-1), labels, weights, strict=True):
        inside = label != 255
        present = label[inside].unique()
        terms = [loss(p[inside][:, k], (label[inside] == k).double(), weight[inside]) for k in present]
        images.append(torch.stack(terms).mean())
    total = torch.stack(images).mean()
    return total.detach().numpy(), torch.autograd.grad(total, logits)[0].numpy()


def tversky(p, y, w, alpha, beta):
    true, false, missed = (w * p * y).sum(), (w * p * (1 - y)).sum(), (w * (1 - p) * y).sum()
    return 1 - true / (true + alpha * false + beta * missed)


def lovasz(p, y, w):
    """Algorithm 1 of Berman et al. 2018, with sums of weights where it counts pixels."""
    import torch  # pyright: ignore[reportMissingImports]

    errors, order = torch.sort((y - p).abs(), descending=True)
    intersection = (w * y).sum() - (w * y)[order].cumsum(0)
    union = (w * y).sum() + (w * (1 - y))[order].cumsum(0)
    jaccard = 1 - intersection / union
    return torch.dot(errors, torch.diff(jaccard, prepend=jaccard.new_zeros(1)))


REGIONS = {
    "dice": lambda p, y, w: 1 - 2 * (w * p * y).sum() / (w * (p + y)).sum(),
    "iou": lambda p, y, w: 1 - (w * p * y).sum() / (w * (p + y - p * y)).sum(),
    "tversky": lambda p, y, w: tversky(p, y, w, 0.3, 0.7),
    "focal_tversky": lambda p, y, w: tversky(p, y, w, 0.3, 0.7) ** 0.75,
    "lovasz": lovasz,
}


def binary(case, gamma=0.0, alpha=None):
    """Focal loss upon `binary_cross_entropy_with_logits`, mean over entries of a pixel, and its gradient.

    Every class of the labels is a question of its own, void where the label is.
    """
    import torch  # pyright: ignore[reportMissingImports]

    logits = torch.tensor(case["logits"], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor(case["labels"]).long()
    y = (labels[..., None] == torch.arange(logits.shape[-1])).double()
    cost = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    p = torch.sigmoid(logits)
    cost = cost * (1 - p * y - (1 - p) * (1 - y)) ** gamma
    if alpha is not None:
        cost = cost * (alpha * y + (1 - alpha) * (1 - y))
    cost = cost.mean(-1) * torch.tensor(case["weights"]) * (labels != 255)
    gradient = torch.autograd.grad(cost, logits, torch.tensor(case["cotangent"], dtype=torch.float64))[0]
    return cost.detach().numpy(), gradient.numpy()


def named(name, answer):
    return {name: answer[0], f"{name}_gradient": answer[1]}


def references() -> dict:
    """Everything that is checked in, by name."""
    arrays = {}
    for case in cases():
        name = str(case["logits"].shape[-1])
        arrays |= {f"{name}/{key}": value for key, value in case.items()}
        arrays |= named(f"{name}/cross_entropy", cross_entropy(case))
        arrays |= named(f"{name}/binary", binary(case))
        arrays |= named(f"{name}/binary_focal", binary(case, gamma=2.0, alpha=0.25))
        for region, loss in REGIONS.items():
            arrays |= named(f"{name}/{region}", of_regions(case, loss))
    return arrays


def network(case: Case) -> dict[str, np.ndarray]:
    """Compute PyTorch's logits in evaluation, and its gradient and running statistics in training."""
    import torch  # pyright: ignore[reportMissingImports]

    from tests.references import torch_networks

    twin = getattr(torch_networks, case.twin)(classes=3, channels=case.shape[-1], **case.arguments)
    shapes = {name: tuple(x.shape) for name, x in twin.state_dict().items() if x.ndim}
    tensors = networks.weights(shapes)
    twin.double().load_state_dict({name: torch.tensor(x) for name, x in tensors.items()}, strict=False)
    images = torch.tensor(networks.images(case)).double().movedim(-1, 1)
    with torch.no_grad():
        logits = twin.eval()(images).movedim(1, -1).numpy()

    samples = {}
    for name, layer in twin.named_modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_hook(
                lambda _, inputs, __, name=name: samples.update({name: inputs[0][:, 0].numel()})
            )
    cotangents = torch.tensor(networks.cotangents(case)).movedim(-1, 1)
    total = (twin.train()(images) * cotangents).mean()
    if hasattr(twin, "auxiliary"):
        total += 0.4 * (twin.auxiliary * cotangents).mean()
    total.backward()
    gradient = {name: x.grad.numpy() for name, x in twin.named_parameters()}
    addresses = networks.to_flax(case, tensors)
    gradient = {address: x for address, x in networks.to_flax(case, gradient).items() if address in addresses}
    after = {name: x.numpy() for name, x in twin.state_dict().items() if x.ndim}
    for name, n in samples.items():
        # PyTorch keeps the unbiased variance, flax the biased one; docs/reference/api/models.md says so.
        var = f"{name}.running_var"
        after[var] = tensors[var] * 0.9 + (after[var] - tensors[var] * 0.9) * (n - 1) / n
    statistics = {a: x for a, x in networks.to_flax(case, after).items() if a.startswith("batch_stats")}
    return {
        "shapes": np.array(json.dumps(shapes)),
        "logits": logits.ravel()[::7].astype("f4"),
        "extremes": np.array([logits.min(), logits.max()]),
        "gradient": networks.projections(gradient),
        "statistics": np.concatenate([[], *(x.ravel() for _, x in sorted(statistics.items()))]).astype("f4"),
    }


def network_references() -> dict:
    """Return the arrays of `networks.npz` by name."""
    return {f"{name}/{key}": array for name in CASES for key, array in network(CASES[name]).items()}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("losses.npz"), **references())
    np.savez_compressed(Path(__file__).with_name("networks.npz"), **network_references())
