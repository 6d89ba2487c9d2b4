"""What a run has to know of its data without the data at hand."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """The facts about prepared data that decide what a run is; kept in its config.json."""

    classes: tuple[str, ...]
    """Names by class id; class 0 is the background."""
    channels: int
    """Channels of the images."""
    training_images: int
    defective_images: int
    """Training images that show a defect."""
    fingerprint: str
    """Digest of the content of the data."""
