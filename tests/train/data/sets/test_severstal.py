from pathlib import Path

import numpy as np
import pytest

from train.data.prepare import Prepared, prepare
from train.data.sets.severstal import Severstal, decode_runs, read_label, read_table
from train.errors import UserError

HEIGHT, WIDTH = 6, 10
ROWS = {
    "000.jpg": {1: "1 2 8 1"},
    "001.jpg": {2: "1 60"},
    "002.jpg": {3: "60 1", 4: "7 6"},
    "003.jpg": {4: "13 3"},
}
"""Run lengths of images that are there; three more are clean, and one row is of an image that is missing."""


def write_table(source: Path, header: str, rows: list[str]) -> None:
    (source / "severstal-steel-defect-detection" / "train.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def archive(tmp_path, picture) -> Path:
    source = tmp_path / "source"
    for k in range(28):
        picture(
            f"source/severstal-steel-defect-detection/train_images/{k:03}.jpg", size=(HEIGHT, WIDTH), seed=k
        )
    rows = [f"{k:03}.jpg,{c},{runs}" for k in range(0, 28, 7) for c, runs in ROWS[f"00{k // 7}.jpg"].items()]
    write_table(source, "ImageId,ClassId,EncodedPixels", [*rows, "fff.jpg,3,1 5"])
    return source


def prepared(source: Path, where: str = "prepared", seed: int = 0) -> Prepared:
    return prepare(Severstal(seed=seed), data_dir=source.parent / where, source=source)


def labels(data: Prepared) -> dict[str, np.ndarray]:
    return {record["name"]: record["label"] for part in data.parts.values() for record in part}


def drawn(text: str) -> np.ndarray:
    """Run lengths painted pixel by pixel: from 1 on, down the columns."""
    label = np.zeros((HEIGHT, WIDTH), bool)
    numbers = [int(number) for number in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        for place in range(start - 1, start - 1 + length):
            label[place % HEIGHT, place // HEIGHT] = True
    return label


def test_images_with_rows_show_their_classes_and_others_are_clean(archive, caplog):
    result = labels(prepared(archive))
    assert result.keys() == {f"{k:03}" for k in range(28)}
    for k in range(28):
        expected = np.zeros((HEIGHT, WIDTH), int)
        if k % 7 == 0:
            for c, runs in ROWS[f"00{k // 7}.jpg"].items():
                expected[drawn(runs)] = c
        np.testing.assert_array_equal(result[f"{k:03}"], expected)
    assert "Severstal: 28 of 12568 images are there" in caplog.text
    assert "Severstal: 1 images of train.csv are not there; their rows are left out" in caplog.text


def test_both_editions_and_any_order_of_columns_are_read_alike(archive):
    root = archive / "severstal-steel-defect-detection"
    first = read_table(root / "train.csv")
    write_table(
        archive,
        "EncodedPixels,ImageId,ClassId",
        [f"{runs},{name}.jpg,{c}" for name, classes in first.items() for c, runs in classes.items()],
    )
    assert read_table(root / "train.csv") == first
    write_table(
        archive,
        "ImageId_ClassId,EncodedPixels",
        [f"{name}.jpg_{c},{classes.get(c, '')}" for name, classes in first.items() for c in (1, 2, 3, 4)],
    )
    assert read_table(root / "train.csv") == first


def test_the_division_is_drawn_by_a_seed_and_each_is_prepared_apart(archive):
    sides = [{record["name"] for record in prepared(archive, seed=seed).parts["test"]} for seed in (0, 1)]
    assert sides[0] != sides[1]
    assert [len(side) for side in sides] == [9, 9]  # 28 * 3841 / 12568 = 8.6
    again = {record["name"] for record in prepared(archive, "again").parts["test"]}
    assert again == sides[0]


@pytest.mark.parametrize("text", ["1 1", "60 1", "1 60", "6 2", "3 4 7 1 20 13"])
def test_run_lengths_go_down_the_columns_from_1(text):
    np.testing.assert_array_equal(decode_runs(Path("a.jpg"), 1, text, (HEIGHT, WIDTH)), drawn(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1 2 3", "no pairs"),
        ("one 2", "no numbers"),
        ("1 99999999999999999999", "no numbers"),
        ("0 2", "leave the image of 10x6"),
        ("60 2", "leave the image"),
        ("5 0", "no pairs"),
        ("5 -1", "no pairs"),
        ("1 5 3 2", "overlap"),
        ("9 2 1 2", "overlap"),
    ],
)
def test_broken_run_lengths_are_named_with_image_and_class(text, problem):
    with pytest.raises(UserError, match=rf"a\.jpg: class 2 of train\.csv has run lengths that .*{problem}"):
        decode_runs(Path("a.jpg"), 2, text, (HEIGHT, WIDTH))


def test_classes_that_overlap_are_refused():
    with pytest.raises(UserError, match=r"a\.jpg: class 3 of train\.csv overlaps another one"):
        read_label(Path("a.jpg"), {1: "1 5", 3: "5 2"}, (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("header", "row", "problem"),
    [
        ("ImageId,ClassId", "000.jpg,1", "has the columns ClassId, ImageId, not those"),
        ("ImageId,ClassId,EncodedPixels", "000.jpg,5,1 2", "line 2: is no row"),
        ("ImageId,ClassId,EncodedPixels", "000.jpg,1", "line 2: is no row"),
        (
            "ImageId,ClassId,EncodedPixels",
            "000.jpg,1,1 2\n000.jpg,1,4 2",
            "line 3: has class 1 of 000.jpg a sec",
        ),
        ("ImageId_ClassId,EncodedPixels", "000.jpg,1 2", "line 2: is no row"),
    ],
)
def test_a_broken_table_is_named_with_its_line(archive, header, row, problem):
    write_table(archive, header, [row])
    with pytest.raises(UserError, match=rf"train\.csv.*{problem}"):
        prepared(archive)


def test_a_table_that_is_not_text_is_named(archive):
    (archive / "severstal-steel-defect-detection" / "train.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match=r"train\.csv: cannot be read"):
        prepared(archive)
