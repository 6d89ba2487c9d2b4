"""Data: data sets with their TFDS builders, and the pipeline that reads prepared sets."""
