"""The report: complete, self-contained, safe against its own input, and readable at any width."""

import html
import json
import math
import re
import shutil
import subprocess

import numpy as np
import pytest

from train.display.report import (
    CostPicture,
    Picture,
    digits,
    duration,
    figure,
    half_of_the_cost,
    timing,
    tree,
    write_report,
)
from train.survey import survey

CLASSES = ("background", "scratch", "pit")
NOTHING = {
    "iou": dict.fromkeys(("dataset", "present", "union", "all")),
    "dice": None,
    "precision": None,
    "recall": None,
}


def class_figures(iou: float) -> dict:
    return {
        "iou": {"dataset": iou, "present": iou - 0.05, "union": iou - 0.1, "all": iou + 0.1},
        "dice": iou + 0.02,
        "precision": iou + 0.03,
        "recall": iou + 0.04,
    }


def evaluation(**changes) -> dict:
    figures = [class_figures(iou) for iou in (0.9, 0.6, 0.4)]
    found = {
        "images": 9,
        "headline": 0.5,
        "mean_with_background": 0.6333,
        "classes": dict(zip(CLASSES, figures, strict=True)),
    } | changes
    names = list(found["classes"])
    counts = dict.fromkeys(("labelled", "touched", "half", "false_alarms"), 0)
    sizes = dict.fromkeys(("1-15", "16-63", "64-255", "256-1023", "1024+"), counts)
    found = {
        "intervals": {
            "groups": 7,
            "headline": (0.412, 0.588),
            "classes": dict(zip(names, [(0.87, 0.93), (0.511, 0.689), None], strict=False)),
        },
        "confusion": [[9000, 1000, 0], [1, 9999, 0], [0, 0, 0]],
        "boundary": {
            name: {"share": 0.125, "recall": 0.25, "recall_inside": 0.75, "false_positives": None}
            for name in names
        },
        "components": {
            names[1]: sizes
            | {
                "16-63": {"labelled": 17, "touched": 13, "half": 11, "false_alarms": 5},
                "1024+": counts | {"labelled": 3},
            },
            **dict.fromkeys(names[2:], sizes),
        },
        **found,
    }
    return {
        "part": "test",
        "checkpoint": "best",
        "step": 60,
        **found,
        "image_level": {
            "images": 9,
            "any": {"positive": 5, "average_precision": 0.81, "interval": (0.62, 0.97)},
            "classes": {
                name: {"positive": 2, "average_precision": 0.43, "interval": (0.212, 0.658)}
                for name in names[1:]
            },
        },
        "decided": {
            "thresholds": dict(zip(names[1:], (0.731, 0.269), strict=False)),
            "minimum_areas": dict(zip(names[1:], (32, 1), strict=False)),
            **found,
        },
    }


def findings(**changes) -> dict:
    held = {"pixels": 0.9, "loss": 0.4, "gradient": 0.3}
    return {
        "thresholds": {"term": "balanced", "eps_inf": 0.3, "eps_sup": 0.7},
        "histogram": {"pixels": [0.05] * 20, "loss": [0.1] * 10 + [0.0] * 10, "gradient": [None] * 20},
        "error": dict.fromkeys(("easy", "critical", "hard"), held),
        "classes": dict.fromkeys(CLASSES, held),
        "boundary": dict.fromkeys(("boundary", "inside"), held),
        "boundary_to_inside": {"loss": 7.25, "gradient": None},
        "mask": {"balanced": {"background": 1.0, "scratch": 5.0, "pit": None}},
    } | changes


def row(epoch: int, **changes) -> dict:
    return {
        "step": 30 * epoch,
        "epoch": epoch,
        "progress": epoch / 3,
        "loss": 0.9 / epoch,
        "terms": {"balanced": 0.6 / epoch, "dice": 0.3 / epoch},
        "learning_rate": 1e-3,
        "seconds": 12.0,
        "images_per_second": 40.0,
        "validation": evaluation(),
        "findings": findings(),
    } | changes


def picture(name: str, iou: float = 0.5, size: tuple[int, int] = (48, 64), channels: int = 1) -> Picture:
    label = np.zeros(size, np.uint8)
    label[5:20, 7] = 1
    label[:9, 30:] = 255
    image = np.random.default_rng(0).integers(0, 255, (*size, channels)).astype(np.uint8)
    return Picture(name, image, label, np.where(label == 255, 2, label).astype(np.uint8), iou)


def cost_picture(name: str, size: tuple[int, int] = (48, 64)) -> CostPicture:
    _, image, label, *_ = picture(name, size=size)
    cost = np.random.default_rng(1).exponential(size=(40, 50))
    cost[:5] = np.nan
    return CostPicture(name, image, label, cost, np.where(np.isnan(cost), cost, 0.0))


CONFIG = {
    "@type": "train.config:Config",
    "objective": {
        "balanced": {
            "@type": "train.config:Term",
            "loss": {"@function": "balanced_jax.losses:balanced_loss"},
            "options": {
                "eps_sup": {
                    "@type": "train.config:Ramp",
                    "start": 1.0,
                    "end": 0.7,
                    "begin": 0.0,
                    "until": 1 / 3,
                }
            },
            "weights": None,
            "weights_options": {},
        }
    },
    "input": {"@type": "train.config:Input", "size": None, "crop": [64, 64]},
    "name": "<script>alert('config')</script>",
}


@pytest.fixture
def report(tmp_path):
    """A function that writes a report from usual input, less what it is given, and returns its text."""
    usual = {
        "title": "quickstart-1f3a",
        "config": CONFIG,
        "rows": [row(epoch) for epoch in (1, 2, 3)],
        "evaluation": evaluation(),
        "survey": survey([picture("").label], CLASSES, 3),
        "pictures": {"Worst": [picture("one", 0.1)], "Best": [picture("two", 0.9)]},
        "costs": [cost_picture("one")],
        "predicted_per_second": 123.4,
    }

    def write(**changes) -> str:
        write_report(tmp_path / "report.html", **usual | changes)
        assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def words(page: str) -> str:
    """What is read on the page, its white space closed up."""
    page = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_page_opens_with_the_headline_and_its_meaning(report):
    text = words(report())
    start = "quickstart-1f3a quickstart-1f3a 0.500 Mean data-set IoU (intersection over union) of the 2"
    assert text.startswith(start)
    assert "9 images of the test part" in text
    assert "50 in 100" in text


def test_every_figure_of_every_class_is_there(report):
    text = words(report()).replace("\N{EN DASH}", "-")
    assert "scratch 0.600 0.51-0.69 0.550 0.500 0.700" in text
    assert "pit 0.400 0.350" in text
    assert "pit 0.420 0.430 0.440" in text
    assert "mean of defects 0.500 0.41-0.59 0.450 0.400 0.600" in text
    assert "scratch 0.731 32 0.600 0.51-0.69 0.620" in text
    assert "pit 0.269 1 0.400" in text
    assert "is 0.633. Checkpoint: best, step 60" in text
    assert "95 % interval 0.41-0.59, over 7 groups of images" in text
    assert "123.4 images of the test part predicted a second" in text


def test_the_breakdowns_are_there_with_what_has_no_pixels_as_dashes(report):
    text = words(report()).replace("\N{EN DASH}", "-")
    assert "any 5 of 9 0.810 0.62-0.97 scratch 2 of 9 0.430 0.21-0.66 pit 2 of 9 0.430 0.21-0.66" in text
    assert "background 90.0 10.0 0.0 scratch <0.1 100.0 0.0 pit - - -" in text
    assert "scratch 16-63 17 13 11 5 1024+ 3 0 0 0 pit - -" in text
    assert "scratch 12.5 0.250 0.750 -" in text


def test_one_group_of_images_has_no_interval_and_says_so(report):
    found = evaluation(intervals={"groups": 1, "headline": None, "classes": dict.fromkeys(CLASSES)})
    found["image_level"]["any"] = {"positive": 0, "average_precision": None, "interval": None}
    text = words(report(evaluation=found)).replace("\N{EN DASH}", "-")
    assert "No intervals: all images show the same item" in text
    assert "95 % interval" not in text
    assert "any 0 of 9 - scratch" in text


def test_the_page_asks_the_network_for_nothing(report):
    page = report()
    links = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]*)|url\(["']?([^)"']*)""", page)
    assert len(links) > 5
    assert all("".join(link).startswith(("data:", "#")) for link in links)
    assert not re.search(r"https?:|<script|<link|@import", page)


def test_names_from_outside_are_text(report):
    evil = "<img src=x onerror=alert(1)>\"'&"
    figures = evaluation(classes={name: class_figures(0.5) for name in ("background", evil, "pit")})
    evil_findings = findings(
        thresholds={"term": evil, "eps_inf": 0.3, "eps_sup": 0.7},
        classes={name: {"pixels": 1, "loss": 1, "gradient": 1} for name in figures["classes"]},
        mask={evil: dict.fromkeys(figures["classes"], 1.0)},
    )
    page = report(
        title=evil,
        evaluation=figures,
        rows=[row(1, validation=figures, terms={evil: 1.0}, findings=evil_findings)],
        survey=survey([picture("").label], ("background", evil, "pit"), 3),
        pictures={"Worst": [picture(evil)]},
        costs=[cost_picture(evil)],
    )
    assert "<img src=x" not in page
    assert "<script" not in page
    assert page.count(html.escape(evil)[:20]) >= 8


def test_missing_figures_are_dashes(report):
    nothing = evaluation(
        headline=None,
        mean_with_background=None,
        classes=dict.fromkeys(CLASSES, NOTHING),
        intervals={"groups": 9, "headline": None, "classes": dict.fromkeys(CLASSES)},
    )
    text = words(report(evaluation=nothing, rows=[row(1, validation=nothing), row(2, validation=None)]))
    dash = "\N{EN DASH}"
    assert f"quickstart-1f3a {dash} No figure: the test part (9 images) has no defect" in text
    assert f"scratch {dash} {dash} {dash} {dash} " in text
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1)],
        [row(1, loss=None, terms={"dice": None})],
        [row(1), row(2, loss=math.nan, terms={"balanced": math.inf, "dice": -1.0})],
        [row(1, loss=0.0, terms={"dice": 0.0}, learning_rate=0.0)],
    ],
    ids=["none", "one", "null", "not finite", "zero"],
)
def test_curves_are_drawn_of_any_history(report, rows):
    assert ("<svg" in report(rows=rows)) == bool(rows)


def test_curves_take_the_colour_of_the_text(report):
    page = report()
    assert "currentColor" in page
    assert "#010203" not in page
    assert "#000000" not in page


def test_curves_say_who_holds_the_loss(report):
    text = words(report())
    for title in (
        "Precision on the validation part scratch pit mean",
        "Recall on the validation part scratch pit mean",
        "Share of the pixels, by error easy critical hard",
        "Share of the loss, by error easy critical hard",
        "Share of the loss, by class background scratch pit boundary",
        "Share of the gradient, by class background scratch pit boundary",
        "Mean mask by class (balanced) background scratch pit",
    ):
        assert title in text
    assert "below 0.3, hard ones above 0.7" in text
    assert "the thresholds of balanced at the last epoch" in text


def test_default_thresholds_are_called_so(report):
    default = findings(thresholds={"term": None, "eps_inf": 0.3, "eps_sup": 0.7})
    assert "no term of the objective has thresholds" in words(report(rows=[row(1, findings=default)]))


def test_a_run_without_findings_shows_what_it_has(report):
    text = words(report(rows=[row(1, findings=None)]))
    assert "Which pixels hold it" in text
    assert "by error" not in text
    old = {key: value for key, value in row(1).items() if key != "findings"}
    assert "Who holds the loss" not in words(report(rows=[old], costs=[]))


def test_pictures_show_which_pixels_hold_the_loss_before_and_after(report):
    cost = np.zeros((48, 64))
    cost[20:24, 10:13] = 2.0
    shown = cost_picture("one")._replace(before=cost, after=np.zeros((48, 64)))
    text = words(report(costs=[shown]))
    dash = "\N{EN DASH}"
    assert "one before: loss 0.00781, half of it on 0.2 % of the pixels" in text
    assert f"after: loss 0, half of it on {dash} % of the pixels" in text
    assert "After: the best checkpoint, step 60" in text


def test_small_numbers_keep_their_digits():
    shown = [digits(value, 3) for value in (1.40449, 0.000034567, 0.0, 49.64, 1234567.0, math.nan)]
    assert shown == ["1.4", "0.0000346", "0", "49.6", "1230000", "\N{EN DASH}"]


def test_half_of_the_cost_lies_on_the_dearest_pixels():
    assert half_of_the_cost(np.ones((4, 5))) == 0.5
    assert half_of_the_cost(np.array([[4.0, 3.0, 1.0, np.nan]])) == pytest.approx(1 / 3)
    for nothing in (np.zeros((2, 2)), np.full((2, 2), np.nan), np.full((2, 2), np.inf)):
        assert math.isnan(half_of_the_cost(nothing))


def test_one_defect_class_is_called_by_its_name(report):
    figures = evaluation(classes={name: class_figures(0.5) for name in ("background", "crack")})
    text = words(report(evaluation=figures, rows=[row(1, validation=figures, findings=None)]))
    assert "Data-set IoU (intersection over union) of crack" in text
    assert "mean of defects" not in text


def test_equal_input_gives_an_equal_page(report):
    assert report() == report()


def test_a_page_of_large_noisy_pictures_stays_small(report):
    pictures = [picture(str(i), i / 20, (799, 1021), channels=3) for i in range(20)]
    noise = np.random.default_rng(0).exponential(size=(799, 1021))
    costs = [CostPicture(*picture[:3], noise, noise[::-1]) for picture in pictures[:4]]
    assert len(report(pictures={"Worst": pictures}, costs=costs)) < 2_500_000


def test_a_failed_report_leaves_the_old_one(report, tmp_path):
    page = report()
    with pytest.raises(KeyError):
        report(rows=[{}])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page


def test_warnings_of_the_survey_are_on_the_page(report):
    thin = np.zeros((64, 64), np.uint8)
    thin[:, 9:11] = 1
    assert "scratch: a confusion mask of window 7 mutes" in words(report(survey=survey([thin], CLASSES, 7)))
    assert "mutes" not in words(report(survey=survey([thin], CLASSES, None)))


def test_the_config_is_shown_with_what_its_values_are(report):
    text = words(report())
    assert "balanced Term train.config" in text
    assert "loss balanced_loss balanced_jax.losses" in text
    assert "eps_sup Ramp train.config start 1, end 0.7, begin 0, until 0.333333" in text
    assert "crop [64, 64]" in text


def test_a_partial_is_shown_as_its_function_with_what_it_was_given():
    node = tree(
        "loss", {"@partial": {"@function": "a.b:c"}, "args": [1], "keywords": {"k": {"@function": "d:e"}}}
    )
    assert (node.text, node.origin) == ("c", "a.b")
    assert [(inner.name, inner.text) for inner in node.inside] == [("0", "1"), ("k", "e")]


def test_numbers_and_times_are_readable():
    assert figure(None) == figure(math.nan) == "\N{EN DASH}"
    assert figure(-0.25, 2) == "\N{MINUS SIGN}0.25"
    assert [duration(s) for s in (0.04, 59.5, 61, 3725)] == ["0.0 s", "59.5 s", "1 min 1 s", "1 h 2 min"]
    assert timing([]) is None


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MEASURE = """<script>
function measure(frame) {
  const page = frame.contentDocument, root = page.documentElement;
  const seen = [...page.images].filter(image => image.complete && image.naturalWidth > 0);
  const styles = [...page.querySelectorAll(".view")].map(view => frame.contentWindow.getComputedStyle(view));
  document.title = JSON.stringify({
    overflow: root.scrollWidth - frame.clientWidth, height: root.scrollHeight,
    images: page.images.length, decoded: seen.length,
    confusion: page.querySelectorAll(".confusion td").length,
    narrowest: Math.min(...styles.map(style => parseFloat(style.width))),
    pixelated: styles.every(style => style.imageRendering == "pixelated"),
  });
}
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_all_of_it_without_scrolling_sideways(report, tmp_path_factory, width):
    long = "a_name_without_any_space_" * 6
    classes = ("background", long, "blowhole", "break", "crack", "fray", "uneven")
    figures = evaluation(
        classes={name: class_figures(0.5) for name in classes},
        intervals={"groups": 7, "headline": (0.4, 0.6), "classes": dict.fromkeys(classes, (0.4, 0.6))},
        confusion=(1000 * np.eye(7, dtype=int) + 7).tolist(),
    )
    figures["decided"]["thresholds"] = dict.fromkeys(classes[1:], 0.5)
    figures["decided"]["minimum_areas"] = dict.fromkeys(classes[1:], 4096)
    held = {name: {"pixels": 1, "loss": 1, "gradient": 1} for name in classes}
    found = findings(classes=held, mask={"balanced": dict.fromkeys(classes, 1.0)})
    page = report(
        evaluation=figures,
        rows=[row(epoch, validation=figures, findings=found) for epoch in (1, 2)],
        title=long,
        pictures={"Worst": [picture(long, 0.1), picture("wide", 0.2, (20, 150))]},
        costs=[cost_picture(long), cost_picture("wide", (20, 150))],
    )
    directory = tmp_path_factory.mktemp("browser")
    frame = (
        f'<iframe width={width} height=800 frameborder=0 onload="measure(this)" srcdoc="{html.escape(page)}">'
    )
    (directory / "frame.html").write_text(f"<!doctype html>{MEASURE}{frame}</iframe>", encoding="utf-8")
    quiet = ["background-networking", "component-update", "sync", "quic", "gpu"]
    options = ["headless", "no-sandbox", "no-first-run", "enable-logging=stderr"]
    options += [f"disable-{service}" for service in quiet]
    command = [CHROMIUM, *(f"--{option}" for option in (*options, f"user-data-dir={directory / 'profile'}"))]
    address = f"file://{directory / 'frame.html'}"
    browser = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True
    )
    assert "CONSOLE" not in browser.stderr
    title = re.search("<title>(.*?)</title>", browser.stdout)
    assert title is not None
    seen = json.loads(html.unescape(title[1]))
    assert seen["overflow"] <= 0
    assert seen["height"] > 1500
    assert seen["images"] == seen["decoded"] == 10
    assert seen["confusion"] == 49
    assert seen["narrowest"] > 80
    assert seen["pixelated"]
