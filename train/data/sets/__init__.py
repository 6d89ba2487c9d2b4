"""The data sets: one builder a file."""
