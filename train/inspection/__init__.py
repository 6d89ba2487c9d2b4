"""Inspection of a data set: label statistics, classes that masks mute, leaks between parts."""
