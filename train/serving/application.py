"""The page over HTTP: routes, requests and answers.

Work is done in threads, so that the server answers meanwhile: one for pictures, one for figures, one for the
network. What one of them is asked for is answered in turn.
"""

import asyncio
import json
import logging
import math
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from train import records
from train.display.pages.colors import hex_colors
from train.display.pictures import class_colors
from train.errors import UserError
from train.measures.records import LARGEST_COST, Costs, DecisionRule
from train.run.log import log
from train.serving.access import Access, add_headers
from train.serving.handover import Verdict
from train.serving.layers import LEVELS, SIDE
from train.serving.session import Session
from train.serving.uploads import LARGEST_FILE, TOO_LARGE

Result = TypeVar("Result")

_SCRIPTS = ("page.js", "elements.js", "requests.js", "sliders.js", "viewer.js")
_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}": (name, "text/javascript") for name in _SCRIPTS},
}
"""The files of the page, and their kinds, by address."""
_LARGEST_REQUEST = 2**20
"""Bytes of a request that is no upload."""
_UPLOADS = 2
"""Uploads that are read at a time."""
_SECONDS_TO_SEND = 120
"""Time in which a request must have arrived."""

# It logs a traceback for each malformed request.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class _OfRule:
    """A request about a rule."""

    rule: DecisionRule


@dataclass(frozen=True)
class _OfImage:
    """A request about an image under a rule."""

    image: str
    rule: DecisionRule


@dataclass(frozen=True)
class _OfVerdict:
    """A request to hand over an image."""

    image: str
    rule: DecisionRule
    verdict: Verdict | None


@dataclass(frozen=True)
class _OfDecision:
    """A request to save a rule."""

    rule: DecisionRule
    costs: Costs | None
    seen: str | None
    """Digest of the decision.json that the page has seen."""


@dataclass(frozen=True)
class _OfReset:
    """A request to return to the automatic choice."""

    seen: str | None


def application(session: Session, access: Access) -> web.Application:
    """Return the application of a session."""
    page = _Page(session)
    app = web.Application(middlewares=[_errors, access.middleware], client_max_size=LARGEST_FILE)
    app.on_response_prepare.append(add_headers)
    app.add_routes([web.get(address, page.file) for address in _FILES])
    app.add_routes(
        [
            web.get("/favicon.ico", page.icon),
            web.get("/start", page.start),
            web.post("/figures", page.figures),
            web.post("/cheapest", page.cheapest),
            web.post("/image", page.image),
            web.get("/tile", page.tile),
            web.get("/probabilities", page.probabilities),
            web.put("/upload", page.upload),
            web.get("/decision", page.standing),
            web.put("/decision", page.save),
            web.delete("/decision", page.reset),
            web.post("/verdict", page.verdict),
        ]
    )
    return app


def serve(app: web.Application, listening: socket.socket) -> None:
    """Answer requests until the process ends."""

    async def answer() -> None:
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        await asyncio.Event().wait()

    asyncio.run(answer())


class _Page:
    """The answers to requests."""

    def __init__(self, session: Session):
        self._session = session
        # One thread each: pictures and figures of a session are not made twice at a time.
        self._pictures, self._figures, self._network = (ThreadPoolExecutor(1) for _ in range(3))
        self._reading = asyncio.Semaphore(_UPLOADS)

    async def file(self, request: web.Request) -> web.Response:
        """Answer with a file of the page."""
        name, kind = _FILES[request.path]
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind)

    async def icon(self, request: web.Request) -> web.Response:
        """Answer browsers, which ask for an icon, that there is none."""
        return web.Response(status=204)

    async def start(self, request: web.Request) -> web.Response:
        """Answer with what the page begins with."""
        session = self._session
        colors = hex_colors(class_colors(len(session.facts.classes)))
        figures = await _in(self._figures, session.figures, session.automatic)
        standing = await _in(self._figures, session.standing)
        return _json(
            {
                "title": session.run_dir.resolve().name,
                "defects": [
                    {"name": name, "color": color}
                    for name, color in zip(session.defects, colors, strict=True)
                ],
                "parts": {name: len(part.images) for name, part in session.parts.items()},
                "uploads": session.uploads.numbers(),
                "automatic": {"rule": session.automatic, "figures": figures},
                "standing": standing,
                "tile": {"side": SIDE, "levels": [LEVELS[0], LEVELS[-1]]},
                "largest_file": LARGEST_FILE,
                "too_large": TOO_LARGE,
                "largest_cost": LARGEST_COST,
                "out": session.handover and f"{session.handover.out}",
            }
        )

    async def figures(self, request: web.Request) -> web.Response:
        """Answer with the figures of a rule, and the orders of the images."""
        rule = self._session.check((await _read(request, _OfRule)).rule)
        session = self._session
        return _json(await _in(self._figures, session.measure, rule))

    async def image(self, request: web.Request) -> web.Response:
        """Answer with what is said about an image."""
        asked = await _read(request, _OfImage)
        rule = self._session.check(asked.rule)
        return _json(await _in(self._pictures, self._session.describe, asked.image, rule))

    async def tile(self, request: web.Request) -> web.Response:
        """Answer with a tile of a layer."""
        query = request.query
        address, layer = query.get("image", ""), query.get("layer", "")
        level = _number(request, "level", LEVELS[0], LEVELS[-1])
        row, column = (_number(request, name, 0, 2**20) for name in ("row", "column"))
        rule = (
            self._rule(query["thresholds"], query.get("minimum_areas", "")) if "thresholds" in query else None
        )
        tile = await _in(self._pictures, self._session.tile, address, layer, rule, level, row, column)
        return web.Response(body=tile, content_type="image/png")

    def _rule(self, thresholds: str, areas: str) -> DecisionRule:
        """Return the rule of an address, whose length is limited: numbers by class, without the names.

        Raises:
            UserError: a number is wrong, missing or too many.
        """
        defects = self._session.defects
        try:
            return DecisionRule(
                dict(zip(defects, map(float, thresholds.split(",")), strict=True)),
                dict(zip(defects, map(int, areas.split(",")), strict=True)),
            )
        except ValueError as error:
            raise UserError(f"thresholds, minimum_areas: are wrong ({error})") from error

    async def probabilities(self, request: web.Request) -> web.Response:
        """Answer with the probabilities at a pixel."""
        row, column = (_number(request, name, 0, 2**30) for name in ("row", "column"))
        address = request.query.get("image", "")
        return _json(await _in(self._pictures, self._session.probabilities, address, row, column))

    async def upload(self, request: web.Request) -> web.Response:
        """Read and predict an image; answer with its number."""
        if (request.content_length or 0) > LARGEST_FILE:
            raise UserError(TOO_LARGE)
        async with asyncio.timeout(_SECONDS_TO_SEND), self._reading:
            encoded = await request.read()
        name = request.query.get("name", "image")
        number = await _in(self._network, self._session.uploads.add, name, encoded)
        return _json({"number": number, "uploads": self._session.uploads.numbers()})

    async def cheapest(self, request: web.Request) -> web.Response:
        """Answer with the rule of the lowest costs."""
        costs = await _read(request, Costs)
        return _json({"rule": await _in(self._figures, self._session.cheapest, costs)})

    async def standing(self, request: web.Request) -> web.Response:
        """Answer with the rule that is in use."""
        return _json(await _in(self._figures, self._session.standing))

    async def save(self, request: web.Request) -> web.Response:
        """Save a rule as the decision of a person."""
        asked = await _read(request, _OfDecision)
        rule = self._session.check(asked.rule)
        await _in(self._figures, self._session.save, rule, asked.costs, asked.seen)
        return await self.standing(request)

    async def reset(self, request: web.Request) -> web.Response:
        """Return to the automatic choice."""
        asked = await _read(request, _OfReset)
        await _in(self._figures, self._session.reset, asked.seen)
        return await self.standing(request)

    async def verdict(self, request: web.Request) -> web.Response:
        """Hand an image over, or take it back."""
        asked = await _read(request, _OfVerdict)
        rule = self._session.check(asked.rule)
        await _in(self._pictures, self._session.give, asked.image, rule, asked.verdict)
        return _json(await _in(self._pictures, self._session.describe, asked.image, rule))


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into answers of one line."""
    try:
        return await handler(request)
    except UserError as error:
        return _json({"error": f"{error}"}, 400)
    except TimeoutError:
        return _json({"error": "The request took too long to arrive."}, 408)
    except web.HTTPException as error:
        return _json({"error": error.text or error.reason}, error.status)
    except Exception:
        log.exception("%s %s: failed", request.method, request.path)
        return _json({"error": "This is a bug; the terminal says where."}, 500)


def _json(value: Any, status: int = 200) -> web.Response:
    text = json.dumps(records.to_json(value))
    return web.Response(text=text, content_type="application/json", status=status)


async def _read(request: web.Request, kind: type[Result]) -> Result:
    """Return the record in a request.

    Raises:
        UserError: it holds something else, or is too large.
    """
    if (request.content_length or 0) > _LARGEST_REQUEST:
        raise UserError("The request is too large.")
    async with asyncio.timeout(_SECONDS_TO_SEND):
        content = await request.read()
    try:
        return records.from_json(json.loads(content), kind)
    except (ValueError, RecursionError) as error:
        raise UserError(f"The request is wrong: {error}") from error


def _number(request: web.Request, name: str, smallest: int, largest: int) -> int:
    """Return a whole number of the query.

    Raises:
        UserError: it is missing or out of range.
    """
    text = request.query.get(name, "")
    number = int(text) if text.removeprefix("-").isdecimal() and len(text) < 12 else math.inf
    if not smallest <= number <= largest:
        raise UserError(f"{name}: is {text!r:.20}, takes {smallest} to {largest}")
    return int(number)


async def _in(executor: ThreadPoolExecutor, function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a thread."""
    return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)
