"""Losses, masks, metrics and networks for segmenting small, rare, badly bounded things with JAX."""

__version__ = "0.1.0"
