import contextlib

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from tests.train.data.image_files import save
from train.data.formats.images import read_image
from train.data.formats.label_images import read_colors, read_ids, read_threshold
from train.errors import UserError

VALUES = np.array([[0, 1, 2], [255, 2, 0]], np.uint8)
CLASSES = ("background", "crack", "dent")
COLORS = [(0, 0, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255)]


def palette_image(values: np.ndarray, colors: list[int]) -> Image.Image:
    image = Image.fromarray(values).convert("P")
    image.putdata(values.ravel().tolist())
    image.putpalette(colors)
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(VALUES),
        Image.fromarray(VALUES.astype(np.uint16)),
        Image.fromarray(np.repeat(VALUES[..., None], 3, -1)),
        palette_image(VALUES, list(range(100, 100 + 3 * 50))),
    ],
    ids=["gray", "16 bits", "RGB without color", "palette"],
)
def test_ids_are_gray_levels_or_palette_indices(tmp_path, image):
    label = read_ids(save(image, tmp_path / "m.png"), CLASSES, void=255)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, VALUES)


def test_void_is_stored_as_255(tmp_path):
    path = save(Image.fromarray(np.array([[0, 9, 1]], np.uint8)), tmp_path / "m.png")
    np.testing.assert_array_equal(read_ids(path, CLASSES, void=9), [[0, 255, 1]])


@pytest.mark.parametrize(("void", "value"), [(9, 255), (None, 255), (255, 7)])
def test_an_undeclared_label_is_named_with_its_file(tmp_path, void, value):
    path = save(Image.fromarray(np.where(VALUES == 255, value, VALUES).astype(np.uint8)), tmp_path / "m.png")
    with pytest.raises(
        UserError, match=rf"m\.png: label {value} is neither a class \(0 to 2\) nor void \({void}\)"
    ):
        read_ids(path, CLASSES, void)


@pytest.mark.parametrize("value", [-1, -9999, -255, -254, -32768])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_signed_values_are_unknown_or_declared_void(tmp_path, dtype, value):
    if value < np.iinfo(dtype).min:
        pytest.skip("does not fit")
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, np.array([[0, 1, value]], dtype))
    with pytest.raises(UserError, match=rf"m\.tif: label {value} is neither a class \(0 to 2\) nor void"):
        read_ids(path, CLASSES, 255)
    np.testing.assert_array_equal(read_ids(path, CLASSES, value), [[0, 1, 255]])


TOP, BOTTOM, LEFT, RIGHT = slice(0, 8), slice(-8, None), slice(0, 8), slice(-8, None)
FIRST_CORNER = {
    1: (TOP, LEFT), 2: (TOP, RIGHT), 3: (BOTTOM, RIGHT), 4: (BOTTOM, LEFT),
    5: (TOP, LEFT), 6: (TOP, RIGHT), 7: (BOTTOM, RIGHT), 8: (BOTTOM, LEFT),
}  # fmt: skip
"""Where viewers show the first pixels of a file, by its EXIF orientation; from 5 on, its rows are columns."""


@pytest.mark.parametrize(("orientation", "corner"), FIRST_CORNER.items())
@pytest.mark.parametrize("form", ["png", "tiff", "jpeg"])
def test_a_label_image_is_rotated_as_its_image_is(tmp_path, form, orientation, corner):
    white = np.zeros((16, 24), np.uint8)
    white[:8, :8] = 255
    image = Image.fromarray(white)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    path = save(image, tmp_path / f"m.{form}", exif=exif)
    expected = np.zeros((16, 24) if orientation < 5 else (24, 16), bool)
    expected[corner] = True
    np.testing.assert_array_equal(read_threshold(path, 127), expected)
    np.testing.assert_array_equal(read_image(path)[0][..., 0] > 127, expected)
    if form != "jpeg":
        np.testing.assert_array_equal(read_ids(path, CLASSES, 255) == 255, expected)


@pytest.mark.parametrize("options", [{"format": "jpeg"}, {"format": "tiff", "compression": "jpeg"}])
@pytest.mark.parametrize(
    "read", [lambda path: read_ids(path, CLASSES, 255), lambda path: read_colors(path, COLORS, 3)]
)
def test_exact_values_are_not_read_from_a_lossy_file(tmp_path, options, read):
    path = save(Image.new("L", (16, 16)), tmp_path / "m.png", **options)
    with pytest.raises(UserError, match=r"m\.png: is compressed by JPEG or the like, .*; save it as PNG, or"):
        read(path)
    assert not read_threshold(path, 127).any()


@pytest.mark.parametrize("options", [{"format": "png"}, {"format": "tiff", "compression": "tiff_deflate"}])
def test_no_flipped_bit_of_compressed_pixels_is_silent(tmp_path, options):
    label = (np.random.default_rng(0).random((64, 64)) < 0.1).astype(np.uint8)
    path = save(Image.fromarray(label), tmp_path / "m", **options)
    np.testing.assert_array_equal(read_ids(path, CLASSES, 255), label)
    whole = path.read_bytes()
    first, last = 0, len(whole)
    if options["format"] == "tiff":
        with tifffile.TiffFile(path) as file:
            first = file.pages.first.dataoffsets[0]
            last = first + file.pages.first.databytecounts[0]
    silent = 0
    for bit in range(8 * first, 8 * last, 11):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with contextlib.suppress(UserError):
            silent += not np.array_equal(read_ids(path, CLASSES, 255), label)
    assert silent == 0


def test_no_inserted_or_deleted_byte_of_a_png_is_silent(tmp_path):
    path = save(Image.fromarray(np.eye(64, dtype=np.uint8)), tmp_path / "m.png")
    whole = path.read_bytes()
    for place in range(len(whole)):
        for content in (
            whole[:place] + whole[place + 1 :],
            whole[:place] + bytes([place % 256]) + whole[place:],
        ):
            path.write_bytes(content)
            with contextlib.suppress(UserError):
                np.testing.assert_array_equal(read_ids(path, CLASSES, 255), np.eye(64))


def test_the_damage_of_a_chunk_is_named(tmp_path):
    path = save(Image.fromarray(VALUES), tmp_path / "m.png")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    path.write_bytes(content)
    for read in (read_image, lambda path: read_threshold(path, 127)):
        with pytest.raises(UserError, match=r"m\.png: is damaged \(wrong checksum of chunk IDAT\); replace"):
            read(path)


def test_a_threshold_applies_to_shown_colors_not_to_palette_indices(tmp_path):
    # As in KolektorSDD: white is index 1 in most label images, index 2 in kos20/Part4, and 255 in gray ones.
    expected = [[0, 0, 1]]
    indices = np.array([[0, 1, 2]], np.uint8)
    three = palette_image(indices, [0, 0, 0, 85, 85, 85, 255, 255, 255])
    two = palette_image(np.array([[0, 0, 1]], np.uint8), [0, 0, 0, 255, 255, 255, *range(1, 4)])
    gray = Image.fromarray(np.array([[0, 127, 128]], np.uint8))
    for number, image in enumerate([three, two, gray, Image.fromarray(np.array(expected, bool))]):
        np.testing.assert_array_equal(read_threshold(save(image, tmp_path / f"{number}.bmp"), 127), expected)


def test_a_bmp_that_pillow_misreads_is_refused(tmp_path):
    two = palette_image(np.array([[0, 0, 1]], np.uint8), [0, 0, 0, 255, 255, 255])
    with pytest.raises(UserError, match=r"m\.bmp: is a BMP of two colors"):
        read_threshold(save(two, tmp_path / "m.bmp"), 127)


@pytest.mark.parametrize("form", ["png", "bmp"])
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_colors_stand_for_classes_and_one_more_for_void(tmp_path, form, mode):
    ids = np.array([[0, 1, 2], [3, 2, 0]])
    image = Image.fromarray(np.array(COLORS, np.uint8)[ids]).convert(mode)
    label = read_colors(save(image, tmp_path / f"m.{form}"), COLORS, void=3)
    np.testing.assert_array_equal(label, np.where(ids == 3, 255, ids))


def test_gray_may_stand_for_void_between_black_and_white(tmp_path):
    path = save(Image.fromarray(np.array([[0, 255, 128]], np.uint8)), tmp_path / "m.png")
    label = read_colors(path, [(0, 0, 0), (255, 255, 255), (128, 128, 128)], void=2)
    np.testing.assert_array_equal(label, [[0, 1, 255]])


@pytest.mark.parametrize("color", [(254, 0, 0), (255, 255, 254), (0, 1, 0)])
def test_a_color_outside_the_table_is_named(tmp_path, color):
    path = save(Image.fromarray(np.array([[color]], np.uint8)), tmp_path / "m.png")
    with pytest.raises(UserError, match=r"m\.png: color {:02x}{:02x}{:02x} is not".format(*color)):
        read_colors(path, COLORS[:3], void=3)


@pytest.mark.parametrize(
    "read", [lambda path: read_ids(path, CLASSES, 255), lambda path: read_threshold(path, 127)]
)
def test_a_label_image_in_color_without_a_table_is_refused(tmp_path, read):
    path = save(Image.new("RGB", (3, 2), (9, 0, 0)), tmp_path / "m.png")
    with pytest.raises(UserError, match=r"m\.png: is in color; say with --data\.colors"):
        read(path)


@pytest.mark.parametrize(
    "read", [lambda path: read_colors(path, COLORS, 3), lambda path: read_threshold(path, 127)]
)
def test_label_images_of_16_bits_hold_class_ids_only(tmp_path, read):
    path = save(Image.fromarray(np.zeros((2, 3), np.uint16)), tmp_path / "m.png")
    with pytest.raises(UserError, match=r"m\.png: is 16-bit gray"):
        read(path)
