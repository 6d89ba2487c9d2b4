"""Base class of the networks: the fields and the call that all of them have."""

from typing import Literal

import flax.linen as nn
from jaxtyping import Array, ArrayLike, Float

from balanced_jax.models.layers import Mode


class Network(nn.Module):
    """A segmentation network; `balanced_jax.models` states the contract.

    The docstrings of the fields are the help texts of the command line.
    """

    num_classes: int = 2
    """Classes, background included: channels of the logits."""
    width: int = 64
    """Channels of the first convolution; all other layers scale with it."""
    norm: Literal["batch", "group"] = "batch"
    """Normalization after each convolution."""
    dtype: str = "float32"
    """Type of the computation; parameters and logits are always float32."""
    remat: bool = False
    """Recompute activations in the backward pass instead of storing them: less memory, more time."""
    axis_name: str | None = None
    """Mapped axis over whose devices the batch statistics are averaged."""

    def __call__(self, images: Float[ArrayLike, "b h w c"], *, train: bool) -> Float[Array, "b h w classes"]:
        """Compute float32 logits at the size of the images.

        Args:
            images: normalized to about zero mean and unit deviation; any size. Where the network needs a
                multiple, they are padded with zeros at the bottom and on the right, and the logits cropped.
            train: whether to apply dropout (RNG key `dropout`), to normalize by the batch, and to update the
                running statistics (collection `batch_stats`, which must then be mutable).
        """
        raise NotImplementedError

    def mode(self, train: bool) -> Mode:
        """Return the settings that all layers share in one call."""
        return Mode(train, self.norm, self.dtype, self.axis_name)
