"""The commands of `python -m train`: each file owns the flags, the help and the work of one command."""
