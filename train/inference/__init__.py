"""Inference: what is computed from images with a trained state."""
