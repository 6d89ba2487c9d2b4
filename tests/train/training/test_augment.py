"""Changes of training images: labels follow their pixels, and what comes from outside is void."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from train.config import Augmentation
from train.data.example import VOID
from train.errors import UserError
from train.training.augment import augment, rotate

STILL = Augmentation(flip=False, rotation=0.0, brightness=0.0, contrast=0.0)


def picture():
    label = np.zeros((33, 33), np.int32)
    label[3:12, 5:25] = 1
    label[20:30, 8:14] = 2
    return jnp.asarray(label[..., None] / 4.0, jnp.float32), jnp.asarray(label)


def many(augmentation, count=64):
    image, label = picture()
    keys = jax.random.split(jax.random.key(0), count)
    images, labels, _ = jax.jit(jax.vmap(lambda key: augment(key, image, label, augmentation)))(keys)
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
    _, labels, moved = jax.jit(jax.vmap(lambda key: augment(key, image, label, augmentation, masks)))(keys)
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
    change = jax.jit(lambda key: augment(key, image, label, Augmentation())[0])
    first, again, other = (change(jax.random.key(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


turn = jax.jit(rotate, static_argnames="limit")


def rotated(image, maps, degrees, limit):
    return jax.tree.map(np.asarray, turn(image, maps, jnp.float32(degrees), limit=limit))


def coordinates(height, width, degrees, limit):
    """Row and column of the image that each pixel of the result shows, in float64."""
    square = max(height, width)
    # Above 45 degrees: the center of a square whose pixels are those of the image.
    down, right = (
        np.arange(size) - ((square - 1) / 2 - (square - size) // 2 if limit > 45 else (size - 1) / 2)
        for size in (height, width)
    )
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    rows = cosine * down[:, None] + sine * right
    columns = cosine * right - sine * down[:, None]
    return rows - down[0], columns - right[0]


@pytest.mark.parametrize(
    ("height", "width", "limit", "angles"),
    [
        (24, 40, 10, (10, -3.3)),
        (41, 22, 45, (45, -45, 22)),
        (24, 40, 180, (6, 50, 179)),
        (41, 22, 180, (-135, -46, 100)),
        (61, 61, 180, (10, -80, -135)),
        (1, 30, 180, (2, -60)),
    ],
)
def test_rotation_interpolates_the_image_and_chooses_labels_at_the_exact_coordinates(
    height, width, limit, angles
):
    random = np.random.default_rng(0)
    image = random.uniform(0.5, 1, (height, width, 1)).astype(np.float32)
    label = random.integers(0, 5, (height, width), np.int32)
    for degrees in angles:
        turned, turned_label = rotated(image, label, degrees, limit)
        rows, columns = coordinates(height, width, degrees, limit)
        # Half-way between two pixels float32 may choose either.
        clear = (np.abs(rows % 1 - 0.5) > 1e-4) & (np.abs(columns % 1 - 0.5) > 1e-4)
        framed = np.pad(label, 1, constant_values=VOID)
        exact = ndimage.map_coordinates(framed, (rows + 1, columns + 1), order=0, mode="nearest")
        assert (turned_label == exact)[clear].all()
        inside = turned_label != VOID
        expected = ndimage.map_coordinates(image[..., 0], (rows, columns), order=1, mode="nearest")
        np.testing.assert_allclose(turned[inside, 0], expected[inside], atol=1e-4)
        assert 0.5 - 1e-6 <= turned.min() <= turned.max() <= 1 + 1e-6  # nothing black comes in


@pytest.mark.parametrize("degrees", [10.0, 45.0, 120.0, 180.0])
def test_outlines_of_shapes_turn_to_within_three_quarters_of_a_pixel(degrees):
    def distances(down, right):
        """Distances to the outlines of a rectangle and of a disk, negative inside."""
        rectangle = np.maximum(np.abs(down - 9) - 7, np.abs(right + 5) - 11)
        return rectangle, np.hypot(down + 12, right - 8) - 8.3

    at = np.arange(61) - 30
    rectangle, disk = distances(at[:, None], at)
    label = np.where(rectangle < 0, 1, np.where(disk < 0, 2, 0))
    _, turned = rotated(label[..., None] / np.float32(2), label.astype(np.int32), degrees, 180)
    rows, columns = coordinates(61, 61, degrees, 180)
    for value, distance in zip((1, 2), distances(rows - 30, columns - 30), strict=True):
        assert ((turned == value) == (distance < 0))[(turned != VOID) & (np.abs(distance) > 0.75)].all()


@pytest.mark.parametrize("turns", range(-2, 3))
@pytest.mark.parametrize(("height", "width"), [(61, 61), (24, 40), (41, 22)])
def test_quarter_turns_are_exact(height, width, turns):
    label = np.random.default_rng(0).integers(0, 5, (height, width), np.int32)
    size = max(height, width)
    top, left = (size - height) // 2, (size - width) // 2
    square = np.full((size, size), VOID)
    square[top : top + height, left : left + width] = label
    expected = np.rot90(square, turns)[top : top + height, left : left + width]
    image, turned = rotated(label[..., None] / np.float32(4), label, 90 * turns, 180)
    assert (turned == expected).all()
    assert (image[..., 0] == expected / np.float32(4))[expected != VOID].all()


@pytest.mark.parametrize(("limit", "dtype"), [(10, "float32"), (180, "float16")])
def test_angle_0_changes_no_bit_and_maps_of_all_types_move_together(limit, dtype):
    random = np.random.default_rng(0)
    image = random.normal(size=(20, 31, 3)).astype(dtype)
    kinds = ("uint8", "int32", "float16", "float32")
    maps = {kind: random.integers(0, 200, (20, 31)).astype(kind) for kind in kinds}
    same, same_maps = rotated(image, maps, 0, limit)
    np.testing.assert_array_equal(same, image, strict=True)
    for kind in kinds:
        np.testing.assert_array_equal(same_maps[kind], maps[kind], strict=True)
    maps = {kind: maps["uint8"].astype(kind) for kind in kinds}
    turned, turned_maps = rotated(image, maps, -limit / 1.1, limit)
    assert turned.dtype == dtype
    for kind in kinds:
        np.testing.assert_array_equal(turned_maps[kind], turned_maps["uint8"].astype(kind), strict=True)
    assert (turned_maps["uint8"] == VOID).any()


def test_each_image_turns_by_its_own_angle():
    image, label = picture()
    angles = jnp.asarray([-120.0, 0.0, 33.0])
    together = jax.jit(jax.vmap(lambda degrees: rotate(image, label, degrees, 180)))(angles)
    for i, degrees in enumerate(angles):
        turned, turned_label = rotated(image, label, degrees, 180)
        np.testing.assert_allclose(together[0][i], turned, atol=1e-4)
        assert (together[1][i] == turned_label).mean() > 0.99


@pytest.mark.parametrize("limit", [10, 180])
def test_rotation_gathers_nothing(limit):
    # A TPU loads a tile of memory for each pixel that is gathered.
    image, label = picture()
    assert "gather" not in str(jax.make_jaxpr(lambda degrees: rotate(image, label, degrees, limit))(1.0))


@pytest.mark.parametrize("rotation", [181.0, -1.0, math.nan])
def test_angles_of_more_than_half_a_turn_are_refused_in_one_line(rotation):
    with pytest.raises(UserError) as refused:
        Augmentation(rotation=rotation)
    assert str(refused.value) == f"augmentation.rotation: is {rotation}, takes 0 to 180 degrees"
