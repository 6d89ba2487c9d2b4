import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from tests.train.data.image_files import encoded, png_header, save
from train.data.files import read_bytes
from train.data.formats.images import read_image
from train.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GRAY = RGB[..., :1]
RGBA = np.concatenate([RGB, np.full((6, 8, 1), 255, np.uint8)], -1)


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        (Image.fromarray(GRAY[..., 0]), GRAY),
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(RGBA), RGB),
        (Image.fromarray(GRAY[..., 0]).convert("LA"), GRAY),
        (Image.fromarray(GRAY[..., 0]).convert("P"), np.repeat(GRAY, 3, -1)),
        (Image.fromarray(GRAY[..., 0] > 127), np.repeat(GRAY > 127, 3, -1) * np.uint8(255)),
    ],
    ids=["gray", "RGB", "opaque RGBA", "opaque gray with alpha", "palette", "bilevel"],
)
@pytest.mark.parametrize("form", ["png", "bmp", "tiff"])
def test_pixels_are_as_viewers_show_them(tmp_path, image, pixels, form):
    if form == "bmp" and image.mode == "LA":
        pytest.skip("BMP has no gray with alpha")
    got, stored = read_image(save(image, tmp_path / f"a.{form}"))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(np.broadcast_to(got, pixels.shape), pixels)  # one channel or three
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored))).reshape(got.shape), got)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_gray_and_rgb_files_are_stored_unchanged(picture, name):
    path = picture(name)
    assert read_image(path)[1] == path.read_bytes()


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff"])
def test_an_image_is_rotated_by_its_exif_orientation(tmp_path, form):
    image = Image.fromarray(np.full((6, 8, 3), 90, np.uint8))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    path = save(image, tmp_path / f"a.{form}", exif=exif)
    pixels, stored = read_image(path)
    assert pixels.shape == (8, 6, 3)
    assert np.asarray(Image.open(io.BytesIO(stored))).shape == (8, 6, 3)


TRANSPARENT = np.where(np.arange(4) == 3, 128, RGBA)

REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"not an image", "no PNG, JPEG, BMP or TIFF"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no PNG, JPEG, BMP or TIFF"),
    "truncated PNG": (encoded(Image.fromarray(RGB), "png")[:-40], "damaged"),
    "truncated JPEG": (encoded(Image.fromarray(RGB), "jpeg")[:-40], "damaged"),
    "large": (png_header(10_000, 10_000), "pixels"),
    "bomb": (png_header(60_000, 60_000), "pixels"),
    "a row": (png_header(89_000_000, 1), "cut it into images of at most 1000000 a side"),
    "a column": (png_header(1, 89_000_000), "cut it into images of at most 1000000 a side"),
    "16 bits": (encoded(Image.fromarray(np.zeros((6, 8), np.uint16)), "png"), "more than 8 bits"),
    "16 bits, transparent": (
        encoded(Image.fromarray(np.zeros((6, 8), np.uint16)), "png", transparency=0),
        "is partly transparent; save it without transparency",
    ),
    "floating point": (encoded(Image.fromarray(np.zeros((6, 8), np.float32)), "tiff"), "floating point"),
    "CMYK": (encoded(Image.new("CMYK", (8, 6)), "jpeg"), "CMYK"),
    "transparent": (encoded(Image.fromarray(TRANSPARENT.astype(np.uint8)), "png"), "transparent"),
    "several": (
        encoded(Image.new("L", (8, 6)), "tiff", save_all=True, append_images=[Image.new("L", (8, 6))]),
        "several images",
    ),
}


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_an_ambiguous_or_damaged_file_is_refused_by_name(tmp_path, content, problem):
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"link\.png: cannot be read \(No such file"):
        read_bytes(tmp_path / "link.png")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["png", "jpeg", "bmp", "tiff"]), st.booleans(), st.data())
def test_a_damaged_file_is_read_or_refused_by_a_user_error(tmp_path, form, cut, data):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = bytearray(encoded(Image.fromarray(RGB), form, **({} if form == "bmp" else {"exif": exif})))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content[:place] if cut else content)
    try:
        pixels, _ = read_image(path)
    except UserError as error:
        message = str(error)
    else:
        message = f"{path}: {pixels.shape[:2]}"
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
