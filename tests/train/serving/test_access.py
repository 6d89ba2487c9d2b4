"""Who may use the page, and what can be reached through it."""

import socket

import pytest

from tests.train.commands.refusal import refused
from train.errors import UserError
from train.serving.access import Access, listen


def test_the_token_opens_the_page_and_becomes_a_cookie(page):
    assert "HttpOnly" in page.set_cookie
    assert "SameSite=Strict" in page.set_cookie
    assert page.get("/").status == 200
    assert page.get("/start").status == 200


@pytest.mark.parametrize("path", ["/", "/start", "/page.js", "/tile", "/favicon.ico", "/nothing"])
@pytest.mark.parametrize("cookie", [None, "train-serve-1=x", "wrong"])
def test_nothing_is_answered_without_the_token(page, path, cookie):
    if cookie == "wrong":
        cookie = page.cookie[:-1] + ("A" if page.cookie[-1] != "A" else "B")
    assert page.send("GET", path, cookie=cookie).status == 403


def test_a_wrong_token_opens_nothing(page):
    assert page.send("GET", page.path[:-1], cookie=None).status == 403
    assert page.send("GET", "/?token=", cookie=None).status == 403
    assert page.send("GET", "/?token=%C3%A4", cookie=None).status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:{port}", ""])
def test_another_host_is_refused(page, host):
    port = page.host.partition(":")[2]
    answer = page.send("GET", "/start", host=host.format(port=port))
    assert answer.status == 403
    assert f"The page is at {page.host}:" in answer.json["error"]
    assert page.send("GET", page.path, host=host.format(port=port), cookie=None).status == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://{host}", "http://127.0.0.1:1", ""]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/start"), ("DELETE", "/decision"), ("PUT", "/upload")])
def test_another_origin_is_refused(page, origin, method, path):
    assert page.send(method, path, b"", Origin=origin.format(host=page.host)).status == 403


def test_the_own_origin_is_served(page):
    assert page.send("GET", "/start", Origin=f"http://{page.host}").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/page.js/../access.py",
        "/access.py",
        "/page.html",
        "//etc/passwd",
        "/%2e%2e/parts.py",
        "/run/config.json",
    ],
)
def test_no_file_but_those_of_the_page_is_reached(page, path):
    answer = page.get(path)
    assert answer.status == 404
    assert b"root:" not in answer.body
    assert b"import" not in answer.body


@pytest.mark.parametrize("path", ["/", "/page.js", "/start", "/nothing", "/tile?level=x"])
def test_every_answer_keeps_to_itself(page, path):
    for answer in (page.get(path), page.send("GET", path, cookie=None)):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_tokens_differ():
    assert Access("127.0.0.1", 1).token != Access("127.0.0.1", 1).token
    assert Access("::1", 81).address.startswith("http://[::1]:81/?token=")
    assert Access("127.0.0.1", 80).address.startswith("http://127.0.0.1/?token=")  # as browsers have it


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_every_address_at_once_is_refused(host):
    with pytest.raises(UserError, match="name one address of this machine"):
        listen(host, 0)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a" * 70 + ".example"])
def test_an_address_of_elsewhere_is_refused(host):
    with pytest.raises(UserError, match="cannot be served"):
        listen(host, 0)


def test_a_port_in_use_is_refused(served_run, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "give another --port" in refused("serve", [served_run[0], "--port", port], capsys)


def test_a_damaged_decision_is_refused_before_anything_is_served(served_run, capsys):
    run_dir, data_dir = served_run
    (run_dir / "decision.json").write_text("{")
    try:
        assert "decision.json" in refused("serve", [run_dir, "--data-dir", data_dir], capsys)
    finally:
        (run_dir / "decision.json").unlink()


def test_probabilities_beyond_the_memory_are_refused(served_run, capsys):
    run_dir, data_dir = served_run
    error = refused("serve", [run_dir, "--data-dir", data_dir, "--memory", 0.0001], capsys)
    assert "12 images with the probabilities of 3 defect classes take 0.00036 GiB" in error
    assert "more than --memory 0.0001; give a larger --memory" in error


def test_flags_out_of_range_are_refused(served_run, capsys):
    assert "--port" in refused("serve", [served_run[0], "--port", 70000], capsys)
    assert "--memory" in refused("serve", [served_run[0], "--memory", -1], capsys)
