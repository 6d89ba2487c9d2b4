"""A client of the page that sends what it is told to, also what no browser would send."""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

_SECONDS = 60
"""Deadline of an answer."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Requests to a page that is being served."""

    def __init__(self, address: str):
        parts = urlsplit(address)
        self.address, self.host, self.path = address, parts.netloc, f"{parts.path}?{parts.query}"
        first = self.send("GET", self.path, cookie=None)
        assert first.status == 200
        self.set_cookie = first.headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        cookie: str | None = "own",
        host: str | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request; further headers by name."""
        connection = http.client.HTTPConnection(self.host, timeout=_SECONDS)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self.host if host is None else host)
            if cookie is not None:
                connection.putheader("Cookie", self.cookie if cookie == "own" else cookie)
            if body is not None and "Content_Length" not in headers:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, content, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Answer:
        """Get an address."""
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def give(self, method: str, path: str, value: Any) -> Answer:
        """Send a JSON value."""
        return self.send(method, path, json.dumps(value).encode())

    def upload(self, name: str, content: bytes) -> Answer:
        """Send an image file."""
        return self.send("PUT", f"/upload?{urlencode({'name': name})}", content)


def figures(page: Client, rule: Any) -> Any:
    """Return the figures of the validation part under a rule."""
    return page.give("POST", "/figures", {"rule": rule}).json["figures"]


def save(page: Client, rule: Any, costs: Any = None) -> Any:
    """Save a rule, as one who has seen the last decision; return what is in use then."""
    seen = page.get("/decision").json["digest"]
    answer = page.give("PUT", "/decision", {"rule": rule, "costs": costs, "seen": seen})
    assert answer.status == 200, answer.json
    return answer.json


def reset(page: Client) -> None:
    """Return to the automatic choice, as one who has seen the last decision."""
    answer = page.give("DELETE", "/decision", {"seen": page.get("/decision").json["digest"]})
    assert answer.status == 200, answer.json
