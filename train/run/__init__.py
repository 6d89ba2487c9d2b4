"""A run directory: its files, checkpoints, lock and log."""
