"""The application: trains, evaluates and applies segmentation networks. Run as `python -m train`."""
