import hashlib

import numpy as np
import pytest

from train.data.prepare import prepare
from train.data.sets import Generated
from train.data.sets.surface import paint
from train.errors import UserError


def test_an_image_is_equal_on_every_machine():
    image, label = paint(np.random.default_rng((0, 0, 5)), 128)
    assert image.dtype == label.dtype == np.uint8
    assert set(np.unique(label)) == {0, 1, 2, 3}
    assert hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest()[:16] == "fc636872a2c1c561"


def test_defects_are_rare_and_two_of_five_surfaces_are_clean():
    labels = np.stack([paint(np.random.default_rng(i), 128)[1] for i in range(100)])
    shares = np.bincount(labels.ravel(), minlength=4)[1:] / labels.size
    assert (shares > 0.0015).all()
    assert (shares < 0.02).all()
    assert 0.28 < (labels == 0).all((1, 2)).mean() < 0.52


def test_parts_and_seeds_have_different_images(tmp_path):
    pictures = [
        record["image"].tobytes()
        for seed in (0, 1)
        for part in prepare(Generated(2, 2, 2, size=32, seed=seed), data_dir=tmp_path).parts.values()
        for record in part
    ]
    assert len(set(pictures)) == len(pictures) == 12


@pytest.mark.parametrize("options", [{"train": 0}, {"size": 16}])
def test_sizes_that_cannot_be_painted_are_refused(options):
    with pytest.raises(UserError, match="cannot be painted"):
        Generated(**options)
