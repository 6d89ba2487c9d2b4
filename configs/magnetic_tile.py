"""Magnetic tiles, five defect classes, at full size: for an accelerator.

    python -m train fit configs/magnetic_tile.py --source DIR_WITH_MAGNETIC_TILE

No tile stands on two sides of the split. Seven of ten images are clean, and blowholes are a ten thousandth of
all pixels, so training takes images with and without defects in turn and centres every second crop of the
former on a defect.
"""

from balanced_jax.models import UNet
from configs.objectives import OBJECTIVES, compared
from train.config import Config, Input, Sampling
from train.data.sets import MagneticTile

config = Config(
    data=MagneticTile(),
    model=UNet(),
    # The balanced loss with thresholds that close over the whole run, because rare defects are found late,
    # and class weights that relax to 1, without the confusion mask, which mutes blowholes and cracks. Argued
    # in the README's results; `:paper` has the paper's numbers and no ramps.
    objective=OBJECTIVES["slowly_closing_relaxing_no_window"],
    # Images are 103 to 632 pixels wide and 222 to 403 high. Resizing would bend them all to one shape, so
    # training sees windows at the scale of the camera, which hold seven of eight defects whole, and evaluation
    # sees whole images. Smaller ones are filled with black in both.
    input=Input(crop=(256, 256)),
    sampling=Sampling(balanced=True, centred=0.5),
    # An epoch is short, 452 images in 28 steps, and small defects are learnt late.
    epochs=300,
    batch_size=16,
)
configs = compared(config)
