"""The description of a data set that a run keeps, so that the data need not be at hand."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """Facts about prepared data that a run depends on; stored in its config.json."""

    classes: tuple[str, ...]
    """Names by class id; class 0 is the background."""
    channels: int
    """Channels of the images."""
    training_images: int
    defective_images: int
    """Training images that show a defect."""
    fingerprint: str
    """Digest of the content of the data."""
