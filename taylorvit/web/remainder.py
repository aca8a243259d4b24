"""Lets an answer arrive that is given before all of its request has come.

Whoever closes a connection on which bytes lie unread resets it, and the answer may be lost with it: to a file that is
too large, for example. So the answer goes out at once, and what comes after it is read and dropped, within bounds,
before the connection is closed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Remainder"]

#: Of what is dropped: bytes, and seconds until the last of them.
MOST_DROPPED, PATIENCE = 256 << 20, 10


class Remainder:
    """An application that need not read all of a request.

    Args:
        app (ASGIApp): the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the application answer a request, and drops what it has left of it."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        ended = False

        async def receive_watched() -> Message:
            nonlocal ended
            message = await receive()
            ended = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def drop() -> None:
            dropped = 0
            while not ended and dropped < MOST_DROPPED:
                dropped += len((await receive_watched()).get("body", b""))

        async def send_and_drop(message: Message) -> None:
            if not ended and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
            elif not ended and not message.get("more_body", False):
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await drop()
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, receive_watched, send_and_drop)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
