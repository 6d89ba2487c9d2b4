"""Find defects in images: python predict.py IMAGE_OR_FOLDER... --out FOLDER

Needs onnxruntime, pillow and numpy. Writes FOLDER/NAME.png, whose values are class ids, and prints the areas
of the connected defects of each class, in pixels.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")


def read(path, channels, levels):
    """Return an image, uint8 [h, w, channels]; levels are the black and white of gray of more than 8 bits."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            taken = not is_changed(file, path)
            several = file.format == "TIFF" and getattr(file, "n_frames", 1) > 1
            image = ImageOps.exif_transpose(file)
    except Exception as error:  # Pillow raises many kinds over a damaged file
        sys.exit(f"{path}: cannot be read ({error})")
    if several:
        sys.exit(f"{path}: holds several images; save each as a file of its own")
    deep = image.mode[0] == "I"
    if image.has_transparency_data and (deep or image.convert("RGBA").getchannel("A").getextrema()[0] != 255):
        sys.exit(f"{path}: is partly transparent; save it without an alpha channel")
    if deep and levels:
        values = np.asarray(image, float)
        taken = taken and values.min() >= 0 and values.max() < 2**16
        scaled = (values - levels[0]) / (levels[1] - levels[0])
        image = Image.fromarray(np.round(255 * scaled.clip(0, 1)).astype(np.uint8))
    if not taken or image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") or channels not in (1, 3):
        sys.exit(f"{path}: is neither gray nor RGB of 8 bits, nor deeper gray as in training; convert it")
    image = image.convert("RGB").convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


def is_changed(file, path):
    """Return whether Pillow changes or drops some values of an image file that it has opened."""
    tags, deep = getattr(file, "tag_v2", {}), file.mode[0] == "I"  # tags of a TIFF
    two_colors = file.format == "BMP" and file.mode == "1"
    return (
        (";16" in str(file.tile) and not deep)  # color of 16 bits is narrowed to 8
        or tags.get(277, 1) > len(file.getbands())  # channels are dropped
        or (tags.get(339) == (2,) and file.mode == "L")  # -1 is read as 255
        or (tags.get(262) == 0 and deep)  # 0 is white, and read as black
        or (two_colors and path.read_bytes()[28] != 1)  # bytes are read as bits
    )


def predict(session, path, about):
    """Return the probability of each class of an image, float32 [h, w, classes]."""
    _, height, width, channels = session.get_inputs()[0].shape
    pixels = read(path, channels, about["input"]["levels"])
    size = pixels.shape[:2]
    if about["input"]["resize"]:
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        pixels = pixels.reshape(height, width, channels)
    elif size[0] > height or size[1] > width:
        sys.exit(f"{path}: is larger than {height}x{width}; cut it, or export again with a larger --size")
    else:
        pixels = np.pad(pixels, ((0, height - size[0]), (0, width - size[1]), (0, 0)), mode="edge")
    probabilities = session.run(None, {"images": pixels[None]})[0][0]
    return resize(probabilities, size) if about["input"]["resize"] else probabilities[: size[0], : size[1]]


def resize(probabilities, size):
    """Return probabilities at another size, by linear interpolation of their logarithms."""

    def weights(old, new):
        places = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
        return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(old))).astype(np.float32)

    rows, columns = (weights(old, new) for old, new in zip(probabilities.shape[:2], size, strict=True))
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    logits = np.einsum("yh,hwc,xw->yxc", rows, logits, columns, optimize=True)
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def components(inside):
    """Yield rows and columns of each connected component; pixels that touch at a corner are connected."""
    width = inside.shape[1] + 2
    around = [y * width + x for y in (-1, 0, 1) for x in (-1, 0, 1)]
    left = set(np.flatnonzero(np.pad(inside, 1)).tolist())
    while left:
        component = [left.pop()]
        for pixel in component:  # which grows meanwhile
            near = left.intersection(pixel + step for step in around)
            left -= near
            component.extend(near)
        rows, columns = np.divmod(component, width)
        yield rows - 1, columns - 1


def decide(probabilities, about):
    """Return class ids, [h, w], and the areas of the components of each defect class."""
    if about["thresholds"]:
        thresholds = np.array([*about["thresholds"].values()], np.float32)
        ratios = probabilities[..., 1:] / np.maximum(thresholds, np.finfo(np.float32).tiny)
        classes = np.where(ratios.max(-1) > 1, 1 + ratios.argmax(-1), 0)
    else:
        classes = probabilities.argmax(-1)
    areas = {name: [] for name in about["classes"][1:]}
    for k, name in enumerate(areas, 1):
        for component in components(classes == k):
            area = len(component[0])
            if about["minimum_areas"] and area < about["minimum_areas"][name]:
                classes[component] = 0
            else:
                areas[name].append(area)
    return classes.astype(np.uint8), areas


def is_image(file):
    """Return whether a file of a folder is an image by its name; macOS puts a hidden ._a.png beside a.png."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def main():
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # over 89 million pixels
    sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    files = []
    for path in arguments.images:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [file for file in inside if file == path or is_image(file)]
    if not files:
        sys.exit("no image in these folders")
    if len({file.stem.lower() for file in files}) < len(files):
        sys.exit("two images have one name; predict one by one")
    if arguments.out.resolve() in {file.resolve().parent for file in files}:
        sys.exit(f"{arguments.out}: holds the images; give another --out")
    arguments.out.mkdir(parents=True, exist_ok=True)

    exported = Path(__file__).parent
    about = json.loads((exported / "model.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(str(exported / "model.onnx"), providers=["CPUExecutionProvider"])
    for file in files:
        classes, areas = decide(predict(session, file, about), about)
        Image.fromarray(classes).save(arguments.out / f"{file.stem}.png")
        found = [f"{name} {sorted(each, reverse=True)}" for name, each in areas.items() if each]
        print(f"{file}: {', '.join(found) or 'no defect'}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:  # a file cannot be read or written
        sys.exit(str(error))
