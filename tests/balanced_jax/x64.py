"""The context in which JAX computes in 64 bits, under the name that the installed version has for it."""

try:
    from jax import enable_x64
except ImportError:  # before jax 0.8
    from jax.experimental import enable_x64  # pyright: ignore[reportAttributeAccessIssue]

__all__ = ["enable_x64"]
