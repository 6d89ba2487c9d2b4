"""Data: one TFDS builder a file, over array_record, and the pipeline that reads the prepared sets."""
