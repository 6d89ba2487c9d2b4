"""Images of more than 8 bits, and images whose channels are neither gray nor RGB."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from tests.train.data.image_files import pages, png, save, tiff
from train.data.example import Decoding
from train.data.formats.images import read_image
from train.data.formats.label_images import read_ids
from train.data.pipeline import evaluation_batches, training_batches
from train.data.prepare import decode, prepare
from train.data.sets import Folder
from train.errors import UserError

HEIGHT, WIDTH = 12, 16


def random(number: int, dtype: type = np.uint8, most: int = 255) -> np.ndarray:
    return np.random.default_rng(number).integers(0, most + 1, (HEIGHT, WIDTH, number), dtype)


def written(folder: Path, content: bytes, name: str = "a.tif") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_levels_become_black_and_white_and_values_between_are_scaled(tmp_path):
    values = np.array([[0, 100, 110, 600, 1090, 1100, 65535]], np.uint16)[..., None]
    expected = np.array([[0, 0, 3, 128, 252, 255, 255]])[..., None]  # 255 * .01 = 2.55, 255 * .5 = 127.5
    for content in (png(values[..., 0]), tiff(values), tiff(values, ">")):
        pixels, stored = read_image(written(tmp_path, content), Decoding((100, 1100)))
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(decode(stored, 1), expected)


def test_images_of_8_bits_ignore_levels(picture):
    path = picture("a.png")
    np.testing.assert_array_equal(read_image(path, Decoding((0, 4095)))[0], read_image(path)[0])


COLOR = random(3, np.uint16, 4095)


@pytest.mark.parametrize(
    "content",
    [
        png(COLOR), tiff(COLOR), tiff(COLOR, ">"), tiff(COLOR, separate=True),
        pages(COLOR),
    ],
    ids=["PNG", "TIFF", "big endian", "separate planes", "pages"],
)  # fmt: skip
def test_sixteen_bits_in_color_are_read_in_full(tmp_path, content):
    path = written(tmp_path, content)
    pixels, stored = read_image(path, Decoding((0, 4095), 3))
    np.testing.assert_array_equal(pixels, np.round(COLOR * (255 / 4095)))
    np.testing.assert_array_equal(decode(stored, 3), pixels)
    with pytest.raises(
        UserError, match=r"a\.tif: has more than 8 bits \(values up to \d+\); .*--data.levels"
    ):
        read_image(path, Decoding(channels=3))


def test_sixteen_bits_in_color_are_no_label_image(tmp_path):
    for content in (png(COLOR), tiff(COLOR)):
        with pytest.raises(UserError, match=r"a\.tif: has 16 bits per channel; save it with 8"):
            read_ids(written(tmp_path, content), ("background", "defect"), 255)


@pytest.mark.parametrize("number", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("layout", ["together", "separate", "pages", "16 bits"])
def test_a_tiff_may_have_any_number_of_channels(tmp_path, number, layout):
    values = random(number)
    content = {
        "together": lambda: tiff(values),
        "separate": lambda: tiff(values, ">", separate=True),
        "pages": lambda: pages(values),
        "16 bits": lambda: tiff(values.astype(np.uint16)),
    }[layout]()
    pixels, stored = read_image(written(tmp_path, content), Decoding((0, 255), number))
    np.testing.assert_array_equal(pixels, values)
    np.testing.assert_array_equal(decode(stored, number), values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_bigtiff_is_read_like_a_tiff(tmp_path, order, planes):
    values = random(5, np.uint16)
    stored = values if planes == "contig" else np.moveaxis(values, -1, 0)
    options = {"byteorder": order, "planarconfig": planes, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", stored, bigtiff=True, metadata=None, **options)
    pixels, _ = read_image(tmp_path / "a.tif", Decoding((0, 255), 5))
    np.testing.assert_array_equal(pixels, values)


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_a_gray_bigtiff_is_read_if_little_endian_and_else_refused_by_its_kind(tmp_path, channels):
    path, values = tmp_path / "a.tif", random(1)
    tifffile.imwrite(path, values[..., 0], bigtiff=True, byteorder="<", metadata=None)
    np.testing.assert_array_equal(read_image(path)[0], values)
    tifffile.imwrite(path, values[..., 0], bigtiff=True, byteorder=">", metadata=None)
    with pytest.raises(UserError, match=r"a\.tif: is a big-endian BigTIFF of a kind .*; save it as TIFF"):
        read_image(path, Decoding(channels=channels))
    with pytest.raises(UserError, match="save it as TIFF"):
        read_ids(path, ("background", "defect"), 255)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_alpha_is_a_channel_if_channels_are_given(tmp_path, mode, form):
    values = random(len(mode))
    path = save(Image.fromarray(values, mode), tmp_path / f"a.{form}")
    np.testing.assert_array_equal(read_image(path, Decoding(channels=len(mode)))[0], values)
    with pytest.raises(UserError, match="transparent"):
        read_image(path)


def test_cmyk_is_four_channels_rotated_by_exif(tmp_path):
    image = Image.new("CMYK", (8, 6), (10, 20, 30, 40))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    pixels, _ = read_image(save(image, tmp_path / "a.jpg", exif=exif), Decoding(channels=4))
    assert pixels.shape == (8, 6, 4)
    assert np.abs(pixels[0, 0] - np.array([10, 20, 30, 40])).max() < 3


UNLIKE = io.BytesIO()
Image.new("L", (9, 9)).save(UNLIKE, "tiff", save_all=True, append_images=[Image.new("L", (9, 8))])


SIGNED = io.BytesIO()
tifffile.imwrite(SIGNED, np.full((2, 9, 9), -1, np.int8), photometric="minisblack", metadata=None)

EXIF = b"eXIfMM\0*\0\0\0\x08\0\x01" + struct.pack(">HHLHHL", 274, 3, 1, 6, 0, 0)
ROTATED = struct.pack(">L", len(EXIF) - 4) + EXIF + struct.pack(">L", zlib.crc32(EXIF))
"""PNG chunk with an EXIF orientation."""


@pytest.mark.parametrize(
    ("content", "channels", "problem"),
    [
        (tiff(random(5)), None, "has 5 channels; to use them all pass --data.channels 5"),
        (tiff(random(4)), None, "has 4 channels; to use them all"),
        (tiff(random(2)), None, "has 2 channels; to use them all"),
        (png(random(4, np.uint16)), None, "has 4 channels; to use them all"),
        (tiff(random(5)), 4, "has 5 channels, not the 4 of --data.channels"),
        (tiff(random(1)), 2, "has 1 channels, not the 2"),
        (tiff(random(4)), 3, "has 4 channels, not the 3"),
        (pages(random(3)), 2, "has 3 channels, not the 2"),
        (pages(random(3)), 4, "has 3 channels, not the 4"),
        (pages(random(3)), None, "holds several images"),
        (UNLIKE.getvalue(), 2, "its pages are not all gray and alike"),
        (SIGNED.getvalue(), 2, "its pages are not all gray and alike"),
        (tiff(random(5), t274=6), 5, "is stored rotated; save it upright"),
        (png(COLOR)[:33] + ROTATED + png(COLOR)[33:], 3, "is stored rotated; save it upright"),
        (tiff(random(5), t256=60_000, t257=60_000), 5, "has more than 89478485 pixels"),
        (tiff(random(5), t277=60_000), 5, "is damaged"),
        (tiff(random(5).astype(np.float32), t339=3), 5, "holds values of type float32; save it with 8 or 16"),
        (tiff(random(1, np.uint16), t262=0), None, "is a TIFF in which 0 is white"),
        (tiff(random(1, np.uint32, 2**20)), None, r"has values from \d+ to \d+; save it with 16 bits"),
    ],
)
def test_a_file_that_contradicts_the_options_is_refused_by_name(tmp_path, content, channels, problem):
    with pytest.raises(UserError, match=rf"a\.tif: {problem}") as caught:
        read_image(written(tmp_path, content), Decoding((0, 255), channels))
    assert "\n" not in str(caught.value)


def test_a_folder_of_five_channels_is_read_and_resized_by_channel(tmp_path, label_image):
    images = {f"{k}": random(5, np.uint16) + np.uint16(10 * k) for k in range(8)}
    for name, values in images.items():
        written(tmp_path / "images", tiff(values), f"{name}.tif")
        label_image(f"masks/{name}.png", int(name) % 2)
    folder = Folder(
        str(tmp_path / "images"),
        str(tmp_path / "masks"),
        levels=(0, 510),
        channels=5,
        test=0.25,
        validation=0.25,
    )
    data = prepare(folder, data_dir=tmp_path / "prepared")
    assert data.channels == 5
    for record in (record for part in data.parts.values() for record in part):
        np.testing.assert_array_equal(record["image"], np.round(images[record["name"]] / 2))
    options = {"batch_size": 2, "size": (6, 8)}
    batches = training_batches(data.parts["train"], crop=(4, 4), passes=1, seed=0, **options)
    assert next(batches)["image"].shape == (2, 4, 4, 5)
    [batch] = evaluation_batches(data.parts["test"], canvas=data.canvas("test"), **options)
    whole = data.parts["test"][1]["image"]
    for k in range(5):
        shrunk = Image.fromarray(whole[..., k]).resize((8, 6), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(batch["image"][1, ..., k], shrunk)
