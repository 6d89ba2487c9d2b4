"""Who may use the page: requests from the page itself, by the holder of the token.

A website that the person visits meanwhile can send requests to this machine, too. They are refused by their
Origin; under a name that the website made point to this machine (DNS rebinding), by their Host; and without
the cookie, which a browser sends to no other site's requests.
"""

import secrets
import socket

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from train.errors import UserError

_ANY_ADDRESS = ("0.0.0.0", "::", "")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on one address of this machine.

    Args:
        host: name or number of the address.
        port: 0 for any free one.

    Raises:
        UserError: the address stands for all addresses, is none of this machine, or is in use.
    """
    if host in _ANY_ADDRESS:
        raise UserError(
            f"--host: is {host or 'empty'}, which stands for every address; name one address of this machine"
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{host}:{port}: cannot be served ({reason}); give another --port, or leave --host and --port out"
        ) from error


class Access:
    """The address of the page and the token that opens it."""

    def __init__(self, host: str, port: int):
        name = f"[{host}]" if ":" in host else host
        self.host = name if port == 80 else f"{name}:{port}"
        """The Host that requests must name."""
        self.token = secrets.token_urlsafe(32)
        self._cookie = f"train-serve-{port}"  # browsers keep one jar for all ports of a host

    @property
    def address(self) -> str:
        """The address that opens the page."""
        return f"http://{self.host}/?token={self.token}"

    @property
    def middleware(self) -> Middleware:
        """Refuses requests from elsewhere and without the token; turns the token into a cookie."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.headers.get("Host") != self.host:
                raise web.HTTPForbidden(
                    text=f"The page is at {self.host}: open the address that the command has printed."
                )
            if request.headers.get("Origin", f"http://{self.host}") != f"http://{self.host}":
                raise web.HTTPForbidden(text="Requests from other sites are refused.")
            given = request.query.get("token")
            if not any(self._is_token(text) for text in (given, request.cookies.get(self._cookie))):
                raise web.HTTPForbidden(text="Open the address that the command has printed.")
            response = await handler(request)
            if given is not None:
                response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict", path="/")
            return response

        return check

    def _is_token(self, text: str | None) -> bool:
        return text is not None and secrets.compare_digest(text.encode(), self.token.encode())


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that every answer has; a signal of the application."""
    response.headers.update(_HEADERS)
