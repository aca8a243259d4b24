"""Where the server listens, and how it ends."""

import contextlib
import json
import re
import socket
import threading
from contextlib import closing
from http.client import HTTPConnection

import pytest

from taylorvit.boundary.errors import CommandError
from taylorvit.web.server import listen, url_of

from .serving import ByTheModel, ask, digits, served


def test_addresses():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}/"
        text = f"^cannot listen on 127.0.0.1, port {port}: address already in use; choose --host or --http-port$"
        with pytest.raises(CommandError, match=text):
            listen("127.0.0.1", port)
    with contextlib.suppress(CommandError), listen("::1", 0) as listener:  # a machine may have no IPv6
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}/"


def test_localhost():
    with listen("localhost", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


@pytest.mark.parametrize("host", ["evil.example", "256.0.0.1", "", "127.0.0.1:80", "[::1]"])
def test_names(host):
    text = f"^host must be an address of this machine or localhost, not {re.escape(repr(host))}$"
    with pytest.raises(ValueError, match=text):
        listen(host, 0)


def test_address_of_another_machine():
    text = "^cannot listen on 203.0.113.1, port 0: .+; choose --host or --http-port$"
    with pytest.raises(CommandError, match=text):
        listen("203.0.113.1", 0)


def test_whoever_waits_is_told_of_the_end():
    """The hardware is let go first, so that nobody waits for an image that takes minutes."""

    class Held(ByTheModel):
        def __init__(self, model):
            super().__init__(model)
            self.begun, self.let_go = threading.Event(), threading.Event()

        def classify(self, pixels):
            assert not self.begun.is_set()  # whoever waits does not come to it
            self.begun.set()
            assert self.let_go.wait(300)
            raise CommandError("it was closed")

        def close(self):
            super().close()
            self.let_go.set()

    hardware, answers = Held(digits()), []
    with served(hardware) as port:
        request = threading.Thread(target=lambda: answers.append(ask(port, "POST", "/api/examples/0")))
        request.start()
        assert hardware.begun.wait(300)
        other = HTTPConnection("127.0.0.1", port, timeout=300)
        other.request("POST", "/api/examples/0")
        assert ask(port, "GET", "/api/model")[0] == 200  # until the server has seen the other one
    request.join(300)
    assert [(status, content["error"]) for status, _headers, content in answers] == [(503, "the server is ending")]
    with closing(other), other.getresponse() as response:
        assert json.load(response) == {"error": "the server is ending"}
    assert hardware.closed == 1
    with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", port), 5):
        pass
