"""A run directory: its files, checkpoints, lock and log, and the signal that interrupts a run."""
