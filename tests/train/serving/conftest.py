"""A page that the tests share: an untrained run on generated surfaces, served on a free port."""

import dataclasses
import shutil
import threading

import pytest
from etils import epath

from tests.tiny import config as tiny
from tests.train.serving.browser import Page
from tests.train.serving.client import Client
from tests.untrained import make_run
from train.commands.serve import Serve
from train.data.sets import Generated
from train.serving.access import Access, listen
from train.serving.application import application, serve
from train.setup import set_up

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SWITCHES = ("disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-sync")

CONFIG = dataclasses.replace(tiny, data=Generated(train=16, validation=12, test=4, size=48, seed=3))


@pytest.fixture(scope="session")
def served_run(tmp_path_factory):
    """Return the run directory of an untrained network, and the folder of its prepared data."""
    place = tmp_path_factory.mktemp("served")
    experiment, _ = set_up(CONFIG, data_dir=place / "prepared", source=None)
    make_run(place / "run", experiment)
    return place / "run", place / "prepared"


@pytest.fixture(scope="session")
def session(served_run, tmp_path_factory):
    """Return what the page shows."""
    run_dir, data_dir = served_run
    out = tmp_path_factory.mktemp("handed over") / "labels"
    return Serve(run_dir=epath.Path(run_dir), data_dir=data_dir, part="test", out=out).session()


@pytest.fixture(scope="session")
def page(session) -> Client:
    """Return a client of the page, with its cookie."""
    listening = listen("127.0.0.1", 0)
    access = Access("127.0.0.1", listening.getsockname()[1])
    threading.Thread(target=serve, args=(application(session, access), listening), daemon=True).start()
    return Client(access.address)


@pytest.fixture(scope="module")
def browser():
    if _CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-component-update", *(f"--{switch}" for switch in _SWITCHES)]
        with driver.chromium.launch(executable_path=_CHROMIUM, args=arguments) as chromium:
            yield chromium


@pytest.fixture
def shown(browser, page):
    opened = Page(browser, page.address)
    yield opened
    opened.context.close()
