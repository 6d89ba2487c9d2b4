"""Measures: what predictions are worth on a part of a data set, how to decide by them, who holds the loss."""
