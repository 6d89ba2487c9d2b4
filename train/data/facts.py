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
    """Images of the training part."""
    defective_images: int
    """Training images that show a defect."""
    fingerprint: str
    """Digest of the content of the data."""

    def __post_init__(self):
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: is {', '.join(self.classes)}, takes two or more different names")
        if self.channels < 1:
            raise ValueError(f"channels: is {self.channels}, takes at least 1")
        if not 0 <= self.defective_images <= self.training_images:
            raise ValueError(
                f"defective_images: is {self.defective_images} of {self.training_images} training images"
            )
