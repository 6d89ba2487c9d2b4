"""Run exported/model.onnx on an image: `python classify_image.py IMAGE`; needs onnxruntime, pillow, scipy."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image
from scipy import ndimage


def decide(probabilities, thresholds, minimum_areas):
    """Return the class of each pixel, [h, w]; probabilities are [h, w, classes]."""
    ratios = probabilities[..., 1:] / thresholds
    classes = np.where(ratios.max(-1) > 1, ratios.argmax(-1) + 1, 0)
    for k, area in enumerate(minimum_areas, 1):
        touching = np.ones((3, 3))  # at corners, too
        numbers, _ = ndimage.label(classes == k, touching)
        too_small = np.bincount(numbers.ravel()) < area
        classes[(numbers > 0) & too_small[numbers]] = 0
    return classes


session = onnxruntime.InferenceSession("exported/model.onnx")
metadata = session.get_modelmeta().custom_metadata_map
# The content of model.json.
about = {name: json.loads(text) for name, text in metadata.items()}
_, height, width, channels = session.get_inputs()[0].shape

with Image.open(sys.argv[1]) as image:
    image = image.convert("L" if channels == 1 else "RGB")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
pixels = np.asarray(image).reshape(1, height, width, channels)
(probabilities,) = session.run(None, {"images": pixels})

if about["thresholds"] is None:
    class_map = probabilities[0].argmax(-1)
else:
    thresholds = np.float32([*about["thresholds"].values()])
    class_map = decide(probabilities[0], thresholds, about["minimum_areas"].values())
for k, name in enumerate(about["classes"]):
    print(f"{name}: {(class_map == k).mean():.2%} of the pixels")
