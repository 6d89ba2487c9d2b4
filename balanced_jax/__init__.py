"""Losses, masks, metrics and networks for segmenting small, rare objects with imprecise outlines in JAX.

The modules `losses`, `masks`, `logits`, `targets`, `metrics`, `diagnostics` and `models` are imported when
they are first used, so that `import balanced_jax` does not import flax.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from balanced_jax import diagnostics, logits, losses, masks, metrics, models, targets

__version__ = "0.1.0"
__all__ = ["diagnostics", "logits", "losses", "masks", "metrics", "models", "targets"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
