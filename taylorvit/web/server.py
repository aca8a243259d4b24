"""Listens for browsers, and serves an application until it is interrupted."""

from __future__ import annotations

import socket
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from taylorvit.boundary.errors import CommandError, reason_of

from .classifier import Classifier
from .guard import is_local_name

__all__ = ["Server", "listen", "url_of"]

MOST_CONNECTIONS = 64
PATIENCE = 5  # seconds that answers have to reach their browsers when the server ends


class Server(uvicorn.Server):
    """A server of one application, which lets its hardware go when it ends.

    Args:
        app (Starlette): the application, by `web.app.make_app`.
        classifier (Classifier): the hardware.
    """

    def __init__(self, app: Starlette, classifier: Classifier) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                http="h11",  # the one that is always there
                lifespan="off",
                limit_concurrency=MOST_CONNECTIONS,
                log_config=None,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=PATIENCE,
                ws="none",
            )
        )
        self._app, self._classifier = app, classifier

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends; whoever waits for the hardware is told so."""
        self._app.state.ending = True
        self._classifier.close()
        await super().shutdown(sockets)

    def serve_until_interrupted(self, listener: socket.socket) -> None:
        """Serves, until Ctrl-C or a signal to terminate.

        Args:
            listener (socket): of `listen`.
        """
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when it has ended
            self.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Takes an address, before anything is built for it.

    Args:
        host (str): an address of this machine, or localhost; a name would have to be looked up.
        port (int): 0 for any that is free.

    Raises:
        ValueError: the host is another name.
        CommandError: it is no address of this machine, or is taken.
    """
    if not is_local_name(host):
        raise ValueError(f"host must be an address of this machine or localhost, not {host!r}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = reason_of(error).partition(" (while")[0]
        raise CommandError(f"cannot listen on {host}, port {port}: {reason}; choose --host or --http-port") from None


def url_of(listener: socket.socket) -> str:
    """What to type into a browser.

    Args:
        listener (socket): of `listen`.
    """
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
