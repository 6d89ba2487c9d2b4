"""Readers of image files, label images and annotation files."""
