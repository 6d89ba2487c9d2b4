"""A comparison as one HTML file and as tables, and curves of loss functions."""
