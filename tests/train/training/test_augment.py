"""Changes of training images: labels follow their pixels, and what comes from outside is void."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Augmentation
from train.data.example import VOID
from train.training.augment import augment

STILL = Augmentation(flip=False, rotation=0.0, brightness=0.0, contrast=0.0)


def picture():
    label = np.zeros((33, 33), np.int32)
    label[3:12, 5:25] = 1
    label[20:30, 8:14] = 2
    return jnp.asarray(label[..., None] / 4.0, jnp.float32), jnp.asarray(label)


def many(augmentation, count=64):
    image, label = picture()
    keys = jax.random.split(jax.random.key(0), count)
    images, labels, _ = jax.vmap(lambda key: augment(key, image, label, augmentation))(keys)
    return np.asarray(images), np.asarray(labels)


def test_nothing_asked_nothing_changed():
    image, label = picture()
    changed = augment(jax.random.key(0), image, label, STILL)
    assert (changed[0] == image).all()
    assert (changed[1] == label).all()


@pytest.mark.parametrize("augmentation", [STILL, Augmentation(flip=True, rotation=30.0)])
def test_masks_are_moved_as_their_labels_are(augmentation):
    image, label = picture()
    masks = {"one": (label / 4).astype(jnp.float16), "other": 3 * (label / 4).astype(jnp.float16)}
    keys = jax.random.split(jax.random.key(0), 16)
    _, labels, moved = jax.vmap(lambda key: augment(key, image, label, augmentation, masks))(keys)
    inside = labels != VOID
    for name, factor in (("one", 1), ("other", 3)):
        assert moved[name].dtype == jnp.float16
        assert (moved[name] == factor * labels / 4)[inside].all()


def test_flips_make_all_four_pictures_and_labels_follow():
    images, labels = many(Augmentation(flip=True, rotation=0.0, brightness=0.0, contrast=0.0))
    assert (images[..., 0] == labels / 4.0).all()
    assert len(np.unique(np.asarray(labels), axis=0)) == 4


def test_turned_labels_stay_on_their_pixels():
    images, labels = many(Augmentation(flip=False, rotation=30.0, brightness=0.0, contrast=0.0))
    inside = labels != VOID
    off = np.abs(images[..., 0] - labels / 4.0) * inside
    # Only between two labels does the interpolated image differ from the nearest label's.
    assert float((off > 0.01).sum() / inside.sum()) < 0.15
    assert float(off.mean()) < 0.02
    assert set(np.unique(labels)) == {0, 1, 2, VOID}


def test_void_comes_in_at_the_corners_only():
    _, labels = many(Augmentation(flip=False, rotation=30.0, brightness=0.0, contrast=0.0))
    assert (labels[:, 16, 16] != VOID).all()
    assert (labels[:, 0, 0] == VOID).any()


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_jitter_changes_images_alone_and_within_its_bounds(name):
    augmentation = Augmentation(
        **{"flip": False, "rotation": 0.0, "brightness": 0.0, "contrast": 0.0, name: 0.2}
    )
    images, labels = many(augmentation)
    image, label = map(np.asarray, picture())
    assert (labels == label).all()
    if name == "brightness":
        shift = np.asarray(images - image).reshape(len(images), -1)
        assert np.ptp(shift, axis=1).max() < 1e-6
        assert 0.1 < np.abs(shift).max() <= 0.2 + 1e-6
    else:
        stretch = np.asarray(images).std((1, 2, 3)) / float(image.std())
        assert 0.8 - 1e-5 <= stretch.min() < 0.9
        assert 1.1 < stretch.max() <= 1.2 + 1e-5


def test_the_key_decides():
    image, label = picture()
    first, again, other = (
        augment(jax.random.key(seed), image, label, Augmentation())[0] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
