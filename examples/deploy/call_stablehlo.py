"""Run an exported network with jax alone, on images of any size."""

import json
from pathlib import Path

import jax.export
import numpy as np

model = jax.export.deserialize(bytearray(Path("exported/model.stablehlo").read_bytes()))
about = json.loads(Path("exported/model.json").read_text())
images = np.zeros((2, 96, 160, about["input"]["shape"][-1]), np.uint8)  # two of any size
class_maps = model.call(images).argmax(-1)  # [2, 96, 160], the class of each pixel
print({name: int((class_maps == k).sum()) for k, name in enumerate(about["classes"])})
