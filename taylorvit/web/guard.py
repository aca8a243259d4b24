"""Keeps other web sites away from a server that listens where only its user should reach it.

A page of another site may send requests to 127.0.0.1; these have another `Origin`. After its own name was made to mean
127.0.0.1 (DNS rebinding), it may read the answers as well; then that name is the `Host`. So the host must be an address
or `localhost`.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "is_local_name"]

#: Of every answer. The page has no script or style but its own, and is shown in no frame.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_READING = ("GET", "HEAD")


class Guard:
    """An application behind the checks of this module.

    Args:
        app (ASGIApp): the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets the application do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        reason = _refusal(scope["method"], Headers(scope=scope))
        app = self._app if reason is None else JSONResponse({"error": reason}, 403)
        await app(scope, receive, send_guarded)


def _refusal(method: str, headers: Headers) -> str | None:
    """Why a request is refused; None if it is not."""
    host = headers.get("host", "")
    if not is_local_name(_name(host)):
        return f"host must be an address or localhost, not {host!r}"
    origin = headers.get("origin")
    if method not in _READING and origin is not None and _place(origin) != host.lower():
        return f"origin must be this page, not {origin!r}"
    return None


def is_local_name(name: str) -> bool:
    """Whether a name is an IP address or localhost, which nobody can make another machine's.

    Args:
        name (str): without a port, and without the brackets of IPv6.
    """
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """A host without its port; empty if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
    """Name and port of an origin; empty if it has none, as that of a page in a frame without rights, "null"."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
