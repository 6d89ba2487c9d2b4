"""What the page answers: figures equal to the command line's, and one line for whatever is wrong."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.train.serving.client import Client, reset, save
from train import records
from train.__main__ import main
from train.measures.records import DecisionRule
from train.serving import application, uploads
from train.serving.layers import SIDE

DEFECTS = ("scratch", "spot", "pit")
RULE = {"thresholds": dict.fromkeys(DEFECTS, 0.25), "minimum_areas": dict.fromkeys(DEFECTS, 3)}

PREDICTION = {"image": "test/1", "layer": "prediction", "level": 0, "row": 0, "column": 0}


def png(shape=(40, 50), seed=0, **options):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(file, format="PNG", **options)
    return file.getvalue()


def changed(**thresholds):
    return RULE | {"thresholds": RULE["thresholds"] | thresholds}


@pytest.fixture
def uploaded(page):
    answer = page.upload("one.png", png())
    assert answer.status == 200, answer.json
    return f"upload/{answer.json['number']}"


@pytest.mark.parametrize("rule", [RULE, changed(scratch=0.2501, pit=0.24)])
def test_figures_are_those_of_the_command_line(page, served_run, rule):
    run_dir, data_dir = served_run
    figures = page.give("POST", "/figures", {"rule": rule}).json["figures"]
    thresholds = [f"{name}={value}" for name, value in rule["thresholds"].items()]
    areas = [f"{name}={value}" for name, value in rule["minimum_areas"].items()]
    flags = ["--data-dir", str(data_dir), "--thresholds", *thresholds, "--minimum-areas", *areas]
    assert main(["evaluate", str(run_dir), *flags]) == 0
    decision = json.loads((run_dir / "decision.json").read_text())
    assert decision["figures"] == figures
    assert decision["rule"] == rule
    assert sum(one["found"] + one["false_alarms"] for one in figures["classes"].values()) > 0
    saved = save(page, rule)["decision"]
    again = json.loads((run_dir / "decision.json").read_text())
    assert again == saved
    assert {**again, "chosen": ""} == {**decision, "chosen": ""}
    assert page.get("/decision").json["decision"] == saved
    reset(page)
    assert not (run_dir / "decision.json").exists()
    assert page.get("/decision").json["decision"] is None


def test_a_decision_for_another_checkpoint_is_said_to_be_none(page, served_run):
    save(page, RULE)
    file = served_run[0] / "decision.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"step": 77}))
    standing = page.get("/start").json["standing"]
    assert standing["decision"] is None
    assert standing["other"].startswith("the saved decision was chosen for the checkpoint of step 77")
    reset(page)
    assert page.get("/decision").json["other"] is None


def test_the_cheapest_rule_costs_no_more_than_the_automatic_one(page):
    start = page.get("/start").json
    costs = {"miss": 7, "false_alarm": 2}
    rule = page.give("POST", "/cheapest", costs).json["rule"]
    totals = []
    for each in (rule, start["automatic"]["rule"]):
        figures = page.give("POST", "/figures", {"rule": each}).json["figures"]
        totals.append(7 * figures["wrongly_passed"] + 2 * figures["wrongly_scrapped"])
    assert totals[0] <= totals[1]
    saved = save(page, rule, costs)["decision"]
    assert saved["costs"] == costs
    reset(page)


def test_walks_hold_the_images_of_each_part(page):
    walks = page.give("POST", "/figures", {"rule": RULE}).json["walks"]
    assert sorted(walks["validation"]["worst"]) == list(range(12))
    assert sorted(walks["test"]["worst"]) == list(range(4))


def test_the_order_of_the_classes_does_not_matter(page):
    backwards = {field: dict(reversed(list(numbers.items()))) for field, numbers in changed(pit=0.7).items()}
    answers = [page.give("POST", "/figures", {"rule": rule}).json for rule in (changed(pit=0.7), backwards)]
    assert answers[0] == answers[1]


def test_an_image_is_described_with_its_components(page, session):
    part = session.parts["validation"]
    for i in range(4):
        described = page.give("POST", "/image", {"image": f"validation/{i}", "rule": RULE}).json
        image = part.images[i]
        assert described["name"] == part.names[i]
        assert (described["height"], described["width"]) == image.label.shape
        for each in described["components"]:
            box = np.s_[
                each["top"] : each["top"] + each["height"], each["left"] : each["left"] + each["width"]
            ]
            k = DEFECTS.index(each["name"])
            assert 0 < each["area"] <= each["height"] * each["width"]
            assert each["probability"] <= image.probabilities[..., k][box].max()
            if each["state"] != "missed":
                assert each["probability"] > RULE["thresholds"][each["name"]]
        counts = image.measure(records.from_json(RULE, DecisionRule)).counts
        states = [each["state"] for each in described["components"]]
        assert states.count("missed") == counts.missed.sum()
        assert states.count("false alarm") == counts.false_alarms.sum()


def test_a_component_that_the_smallest_size_hides_is_told_from_one_that_is_missed(page, session):
    image = session.parts["validation"].images[0]
    number = int(np.bincount(image.label[image.label < 4], minlength=4)[1:].argmax())
    name = DEFECTS[number]
    inside = image.label == number + 1
    below = float(image.probabilities[..., number][inside].min()) * 0.99
    thresholds = dict.fromkeys(DEFECTS, 0.9999) | {name: below}
    for threshold, area, hidden in ((below, 4096, 4096), (0.9999, 4096, None)):
        rule = {
            "thresholds": thresholds | {name: threshold},
            "minimum_areas": dict.fromkeys(DEFECTS, 1) | {name: area},
        }
        described = page.give("POST", "/image", {"image": "validation/0", "rule": rule}).json
        missed = [each for each in described["components"] if each["name"] == name]
        assert missed
        assert {(each["state"], each["too_small"]) for each in missed} == {("missed", hidden)}
        counted = page.give("POST", "/figures", {"rule": rule}).json["too_small"]
        assert (counted[name] > 0) == (hidden is not None)


def test_tiles_and_probabilities_of_all_layers(page, session, uploaded):
    rule = {"thresholds": "0.25,0.25,0.25", "minimum_areas": "3,3,3"}
    for address, layers in (
        ("test/1", ("image", "label", "prediction")),
        (uploaded, ("image", "prediction")),
    ):
        described = page.give("POST", "/image", {"image": address, "rule": RULE}).json
        for layer in layers:
            tile = page.get("/tile", image=address, layer=layer, level=0, row=0, column=0, **rule)
            assert tile.headers["content-type"] == "image/png"
            with Image.open(io.BytesIO(tile.body)) as picture:
                assert picture.size == (described["width"], described["height"])
    values = page.get("/probabilities", image="test/1", row=3, column=4).json
    expected = session.parts["test"].images[1].probabilities[3, 4]
    assert values == dict(zip(DEFECTS, expected.tolist(), strict=True))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/tile", {"image": "test/1", "layer": "label", "level": 40, "row": 0, "column": 0}),
        ("/tile", {"image": "test/1", "layer": "image", "level": -1, "row": 0, "column": 0}),
        ("/tile", {"image": "test/1", "layer": "image", "level": 0, "row": 5, "column": 0}),
        ("/tile", {"image": "test/1", "layer": "image", "level": 0, "row": -1, "column": 0}),
        ("/tile", {"image": "test/1", "layer": "other", "level": 0, "row": 0, "column": 0}),
        ("/tile", {"image": "test/1", "layer": "prediction", "level": 0, "row": 0, "column": 0}),
        ("/tile", {"image": "test/1", "layer": "prediction", "level": 0, "row": 0, "column": 0, "rule": "{"}),
        ("/tile", {"image": "test/99", "layer": "image", "level": 0, "row": 0, "column": 0}),
        ("/tile", {"image": "../test/1", "layer": "image", "level": 0, "row": 0, "column": 0}),
        ("/tile", {"image": "upload/99999", "layer": "image", "level": 0, "row": 0, "column": 0}),
        ("/tile", {"image": "upload/²", "layer": "image", "level": 0, "row": 0, "column": 0}),
        ("/probabilities", {"image": "test/1", "row": 48, "column": 0}),
        ("/probabilities", {"image": "test/1", "row": "x", "column": 0}),
        ("/probabilities", {"image": "test/1", "row": "²", "column": 0}),
        ("/probabilities", {}),
    ],
)
def test_a_wrong_address_is_answered_in_one_line(page, path, query):
    assert_refused(page.get(path, **query))


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("POST", "/figures", {}),
        ("POST", "/figures", {"rule": 3}),
        ("POST", "/figures", {"rule": RULE, "other": 1}),
        ("POST", "/figures", {"rule": changed(scratch=0)}),
        ("POST", "/figures", {"rule": changed(scratch=1.5)}),
        ("POST", "/figures", {"rule": changed(scratch="0.5")}),
        ("POST", "/figures", {"rule": RULE | {"minimum_areas": dict.fromkeys(DEFECTS, 0)}}),
        ("POST", "/figures", {"rule": {"thresholds": {"a": 0.5}, "minimum_areas": {"a": 1}}}),
        ("PUT", "/decision", {"rule": {"thresholds": {}, "minimum_areas": {}}, "costs": None, "seen": None}),
        ("PUT", "/decision", {"rule": RULE, "costs": {"miss": 0, "false_alarm": 1}, "seen": None}),
        ("POST", "/cheapest", {"miss": -1, "false_alarm": 1}),
        ("POST", "/verdict", {"image": "test/1", "rule": RULE, "verdict": "maybe"}),
        ("POST", "/verdict", {"image": "test/77", "rule": RULE, "verdict": "accepted"}),
        ("POST", "/image", {"image": "a", "rule": RULE}),
    ],
)
def test_a_wrong_request_is_answered_in_one_line(page, served_run, method, path, value):
    assert_refused(page.give(method, path, value))
    assert not (served_run[0] / "decision.json").exists()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"NaN", b"[" * 100_000, b" " * (2**20 + 1)])
def test_a_body_that_is_no_request_is_answered_in_one_line(page, body):
    assert_refused(page.send("POST", "/figures", body))


def assert_refused(answer):
    assert answer.status == 400, answer
    error = answer.json["error"]
    assert 5 < len(error) < 500
    assert "\n" not in error


def test_a_hostile_name_is_kept_as_it_is(page):
    name = "<script>alert('x')</script>/../../\u202e\u00fc.png"
    answer = page.upload(name, png()).json
    assert answer["number"] in answer["uploads"]
    described = page.give("POST", "/image", {"image": f"upload/{answer['number']}", "rule": RULE})
    assert described.headers["content-type"].startswith("application/json")
    assert described.json["name"] == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"GIF89a", "is no PNG, JPEG, BMP or TIFF image"),
        (b"<script>alert(1)</script>", "is no PNG, JPEG, BMP or TIFF image"),
        (png()[:-200], "is damaged"),
        (png((3, 4, 4)), "is partly transparent"),
        (png((5800, 5800), compress_level=1), "has 5800x5800 pixels, more than"),
    ],
)
def test_a_file_that_is_no_usable_image_is_answered_in_one_line(page, content, message):
    before = page.get("/start").json["uploads"]
    answer = page.upload("a.png", content)
    assert_refused(answer)
    assert answer.json["error"].startswith(message)
    assert "/tmp" not in answer.json["error"]
    assert page.get("/start").json["uploads"] == before


def test_a_large_file_is_refused_before_it_is_read(page):
    size = str(uploads.LARGEST_FILE + 1)
    answer = page.send("PUT", "/upload?name=a.png", b"few bytes", Content_Length=size)
    assert_refused(answer)
    assert "use `predict`" in answer.json["error"]


def test_a_file_of_unknown_length_is_cut_off_at_the_limit(page):
    # Chunks of a mebibyte; the server answers before it has read them all, or closes.
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    body = chunk * (uploads.LARGEST_FILE // 2**20 + 1) + b"0\r\n\r\n"
    try:
        answer = page.send("PUT", "/upload?name=a.png", body, Content_Length="", Transfer_Encoding="chunked")
    except OSError:
        return
    assert answer.status in (400, 413)


def test_a_request_that_does_not_arrive_ends(page, monkeypatch):
    monkeypatch.setattr(application, "_SECONDS_TO_SEND", 0.05)
    answer = page.send("POST", "/figures", b"{", Content_Length="9")
    assert answer.status == 408


def test_an_upload_is_predicted_as_by_the_command(page, served_run, uploaded, tmp_path, session):
    (tmp_path / "one.png").write_bytes(png())
    out = tmp_path / "out"
    assert (
        main(["predict", str(served_run[0]), str(tmp_path / "one.png"), "--out", str(out), "--probabilities"])
        == 0
    )
    with np.load(out / "one_probabilities.npz") as stored:
        expected = stored["probabilities"][..., 1:]
    np.testing.assert_array_equal(session.shown(uploaded).probabilities.astype(np.float16), expected)


def test_color_becomes_gray_as_by_the_command(page, session):
    number = page.upload("color.png", png((20, 30, 3))).json["number"]
    assert session.shown(f"upload/{number}").image.shape == (20, 30, 1)


def test_verdicts_write_files_and_are_taken_back(page, session, uploaded):
    def give(verdict):
        asked = {"image": uploaded, "rule": RULE, "verdict": verdict}
        answer = page.give("POST", "/verdict", asked)
        assert answer.status == 200, answer.json
        return answer.json["verdict"]

    out = session.handover.out
    assert give("accepted") == "accepted"
    (mask,) = (out / "masks").iterdir()
    with Image.open(mask) as stored:
        classes = np.asarray(stored)
    assert classes.any()
    assert give("no defect") == "no defect"
    with Image.open(mask) as stored:
        assert not np.asarray(stored).any()
    assert give(None) is None
    assert not list((out / "masks").iterdir()) + list((out / "images").iterdir())


def test_a_bug_is_said_and_the_page_goes_on(page, session, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("secret")

    monkeypatch.setattr(session, "probabilities", fail)
    answer = page.get("/probabilities", image="test/1", row=0, column=0)
    assert answer.status == 500
    assert "secret" not in answer.json["error"]
    monkeypatch.undo()
    assert page.get("/probabilities", image="test/1", row=0, column=0).status == 200


def test_large_images_are_drawn_tile_by_tile(page):
    number = page.upload("large.png", png((600, 700))).json["number"]
    place = {"image": f"upload/{number}", "layer": "image"}
    sizes = []
    for level, row, column in ((0, 0, 0), (0, 1, 1), (2, 0, 0)):
        tile = page.get("/tile", **place, level=level, row=row, column=column)
        with Image.open(io.BytesIO(tile.body)) as picture:
            sizes.append(picture.size)
    assert sizes == [(SIDE, SIDE), (700 - SIDE, 600 - SIDE), (175, 150)]


def test_the_oldest_uploads_make_room(page: Client, session, monkeypatch):
    monkeypatch.setattr(uploads, "_MOST_IMAGES", 2)
    numbers = [page.upload(f"{seed}.png", png(seed=seed)).json["number"] for seed in range(3)]
    assert session.uploads.numbers() == numbers[1:]
    assert_refused(page.give("POST", "/image", {"image": f"upload/{numbers[0]}", "rule": RULE}))
