"""Measures of predictions: figures, decisions, components, intervals, rankings, shares of the loss."""
