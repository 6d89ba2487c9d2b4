"""Make `losses.npz`, PyTorch's answers to a few cases: `python tests/references/make_references.py`.

Needs `torch==2.13.0`, which the suite does not. All is computed in float64 from float32 logits.
"""

from pathlib import Path

import numpy as np

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


def dice(case):
    """Mean over images of the weighted Dice loss over the classes that are labelled, and its gradient."""
    import torch  # pyright: ignore[reportMissingImports]

    logits = torch.tensor(case["logits"], dtype=torch.float64, requires_grad=True)
    labels, p = torch.tensor(case["labels"]).long(), torch.softmax(logits, dim=-1)
    w = torch.tensor(case["weights"]) * (labels != 255)
    images = []
    for i in range(len(labels)):
        present = labels[i][labels[i] != 255].unique()
        terms = [
            1
            - 2
            * (w[i] * p[i, ..., k] * (labels[i] == k)).sum()
            / (w[i] * (p[i, ..., k] + (labels[i] == k))).sum()
            for k in present
        ]
        images.append(torch.stack(terms).mean())
    loss = torch.stack(images).mean()
    return loss.detach().numpy(), torch.autograd.grad(loss, logits)[0].numpy()


def references():
    """Everything that is checked in, by name."""
    arrays = {}
    for case in cases():
        name = str(case["logits"].shape[-1])
        arrays |= {f"{name}/{key}": value for key, value in case.items()}
        arrays[f"{name}/cross_entropy"], arrays[f"{name}/cross_entropy_gradient"] = cross_entropy(case)
        arrays[f"{name}/dice"], arrays[f"{name}/dice_gradient"] = dice(case)
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("losses.npz"), **references())
