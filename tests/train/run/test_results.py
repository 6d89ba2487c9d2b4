"""The small files of an evaluation: what is written is read."""

import numpy as np

from balanced_jax.metrics import ConfusionCounts
from train.data.pixels import png_bytes
from train.run.results import (
    LABEL_MAPS,
    ImageCounts,
    keep_results,
    pictured,
    read_image_counts,
    read_label_maps,
    remove_evaluation,
    write_image_counts,
    write_label_map,
)


def image_counts() -> ImageCounts:
    values = np.arange(2 * 3 * 3 * 2).reshape(2, 3, 3, 2)
    return ImageCounts(
        images=("a,b", 'line "one"', "=1+1"),
        groups=("g", "-g", "ü"),
        classes=("background", "pit, deep"),
        most_probable=ConfusionCounts(*values[0].transpose(1, 0, 2)),
        decided=ConfusionCounts(*values[1].transpose(1, 0, 2)),
    )


def test_counts_are_read_as_they_were_written(tmp_path):
    write_image_counts(tmp_path, image_counts())
    result = read_image_counts(tmp_path)
    assert (result.images, result.groups, result.classes) == (
        image_counts().images, image_counts().groups, image_counts().classes,
    )  # fmt: skip
    np.testing.assert_array_equal(result.most_probable, image_counts().most_probable)
    np.testing.assert_array_equal(result.decided, image_counts().decided)
    lines = (tmp_path / "image_counts.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 2
    assert lines[1] == '"a,b",g,background,0,2,4,18,20,22'
    assert lines[5].startswith("'=1+1,ü,background,")


def test_label_maps_are_read_as_they_were_written(tmp_path):
    maps = {7: np.arange(12, dtype=np.uint8).reshape(3, 4), 120: np.zeros((2, 2), np.uint8)}
    for position, classes in maps.items():
        write_label_map(tmp_path, position, png_bytes(classes))
    result = read_label_maps(tmp_path)
    assert list(result) == [7, 120]
    for position, classes in maps.items():
        np.testing.assert_array_equal(result[position], classes)
    (tmp_path / "evaluation.json").touch()
    remove_evaluation(tmp_path)
    assert read_label_maps(tmp_path) == {}
    assert not (tmp_path / "evaluation.json").exists()
    remove_evaluation(tmp_path / "nothing")
    assert read_label_maps(tmp_path / "nothing") == {}


def test_the_images_shown_are_spread_over_those_with_defects():
    present = [(0, 1) if i % 3 == 0 else (0,) for i in range(60)]  # 20 images with a defect
    assert pictured(present) == [0, 9, 18, 30, 39, 48]
    assert len(pictured(present)) == LABEL_MAPS
    assert pictured([(0,), (1,), ()]) == [1]
    assert pictured([(0,)]) == []


def test_kept_results_are_those_of_the_run(tmp_path):
    run, kept = tmp_path / "run", tmp_path / "kept"
    run.mkdir()
    for name in ("config.json", "metrics.jsonl", "evaluation.json", "report.html"):
        (run / name).write_text(name)
    write_image_counts(run, image_counts())
    write_label_map(run, 1, png_bytes(np.ones((2, 2), np.uint8)))
    keep_results(run, kept)
    assert {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()} == {
        "config.json", "metrics.jsonl", "evaluation.json", "image_counts.csv", "label_maps/00001.png",
    }  # fmt: skip
    assert (kept / "metrics.jsonl").read_text() == "metrics.jsonl"
