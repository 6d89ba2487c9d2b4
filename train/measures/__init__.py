"""Measures: what predictions on a part of a data set are worth, and how to decide by them; pure functions."""
