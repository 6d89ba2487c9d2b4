"""Magnetic tiles, five defect classes, at full size; for an accelerator.

    python -m train fit configs/magnetic_tile.py --source DIR_WITH_MAGNETIC_TILE

All images of a tile are in one part. Seven of ten images are clean, and blowholes cover a ten thousandth of
all pixels, so training alternates images with and without defects and centers half of the crops of images
with defects on a defect.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, vary_objective
from train.config import Config, Input, Sampling
from train.data.sets import MagneticTile

config = Config(
    data=MagneticTile(),
    model=UNet(),
    # The balanced loss with thresholds that close over the whole run, because rare defects are learned late,
    # and class weights that relax to 1; without the confusion mask, which mutes blowholes and cracks. The
    # results in docs/understand/results.md compare the objectives. `:paper` has the paper's numbers and no ramps.
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
    # Images are 103 to 632 pixels wide and 222 to 403 high. Resizing to one size would distort them, so
    # training takes crops at the original scale, which hold seven of eight defects whole, and evaluation
    # takes whole images. Both pad smaller images with copies of their last row and column.
    input=Input(crop=(256, 256)),
    sampling=Sampling(balanced=True, centered=0.5),
    # An epoch has only 452 images in 28 steps, and small defects are learned late.
    epochs=300,
    batch_size=16,
)
configs = vary_objective(config)
