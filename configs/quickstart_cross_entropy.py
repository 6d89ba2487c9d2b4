"""The quickstart with plain cross-entropy, to compare with.

python -m train fit configs/quickstart_cross_entropy.py
"""

import dataclasses

from balanced_jax.losses import softmax_cross_entropy
from configs.quickstart import config as quickstart
from train.config import Term

config = dataclasses.replace(quickstart, objective={"cross_entropy": Term(softmax_cross_entropy)})
