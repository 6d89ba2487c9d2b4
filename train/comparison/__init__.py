"""Comparisons: runs that differ in objective, network, seed, fold or fields of the config."""
