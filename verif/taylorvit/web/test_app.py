"""The server's answers, by HTTP: what it serves, what it classifies, what it refuses."""

import json
import re
import socket
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from taylorvit.boundary.errors import CommandError
from taylorvit.golden.training.images import load_dataset
from taylorvit.web import app, remainder
from taylorvit.web.drawing import STYLES, drawn
from taylorvit.web.submissions import MOST_BYTES
from verif.taylorvit.jobs.networks import MODEL

from .digits import STROKES
from .serving import ByTheModel, ask, digits, served
from .test_submissions import content_of


@pytest.fixture(scope="module")
def hardware():
    return ByTheModel(digits())


@pytest.fixture(scope="module")
def port(hardware):
    with served(hardware) as port:
        yield port


def error_of(answer, status):
    """The sentence of an answer that refuses."""
    found, _headers, content = answer
    assert (found, list(content)) == (status, ["error"]), answer
    return content["error"]


def test_page_and_its_files(port):
    status, headers, page = ask(port, "GET", "/")
    assert status == 200 and headers.get_content_type() == "text/html" and b"<title>TaylorViT</title>" in page
    kinds = {"page.css": "text/css", "page.js": "text/javascript", "pad.js": "text/javascript",
             "result.js": "text/javascript", "icon.svg": "image/svg+xml"}  # fmt: skip
    for name, kind in kinds.items():
        status, headers, content = ask(port, "GET", f"/static/{name}")
        assert (status, headers.get_content_type()) == (200, kind) and content, name
    assert sorted(path.name for path in app.STATIC.iterdir()) == sorted([*kinds, "index.html"])


def test_nothing_comes_from_the_network():
    for path in app.STATIC.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")  # a name, not an address
        assert not re.search(r"""["'(=]\s*(https?:)?//|@import|url\(""", text), path


def test_every_answer_has_the_headers(port):
    for method, path in (("GET", "/"), ("GET", "/api/model"), ("GET", "/absent"), ("POST", "/api/examples/0")):
        _status, headers, _content = ask(port, method, path)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in headers


def test_model(port, hardware):
    _status, _headers, model = ask(port, "GET", "/api/model")
    labels = load_dataset("digits").testing[list(range(24))][1].tolist()
    assert model["examples"] == labels and model["classes"] == list("0123456789")
    assert (model["name"], model["place"], model["clock_mhz"]) == ("digits", "no hardware", 50)
    assert (model["size"], model["channels"], model["patches"], model["layers"]) == (8, 1, 4, 3)
    assert model["drawing"] and model["files"]


def test_drawing(port, hardware):
    status, _headers, answer = ask(port, "POST", "/api/drawing", json.dumps({"strokes": STROKES[3]}))
    assert (status, answer["class"], answer["different"]) == (200, 3, 0)
    assert np.array_equal(hardware.images[-1], drawn(STROKES[3], STYLES["digits"]))


def test_image(port, hardware):
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8), dtype=np.uint8)
    for query, wanted in (("", pixels), ("?inverted=0", pixels), ("?inverted=1", 255 - pixels)):
        status, _headers, answer = ask(port, "POST", f"/api/image{query}", content_of(pixels))
        assert status == 200 and len(answer["attention"]) == 3
        assert np.array_equal(hardware.images[-1][0], wanted)


def test_examples(port, hardware):
    status, headers, picture = ask(port, "GET", "/api/examples/5.png")
    assert (status, headers.get_content_type(), picture[:4]) == (200, "image/png", b"\x89PNG")
    status, _headers, _answer = ask(port, "POST", "/api/examples/5")
    assert status == 200
    wanted = load_dataset("digits").testing[[5]][0][0].numpy()
    assert np.abs(hardware.images[-1] / 255 - wanted).max() < 1 / 255


@pytest.mark.parametrize("method, path, body, status, text", [
    ("GET", "/absent", None, 404, "address must be one of this server, not '/absent'"),
    ("GET", "/static/../app.py", None, 404, "address must be one of this server, not '/static/../app.py'"),
    ("GET", "/static/%2e%2e/app.py", None, 404, "address must be one of this server, not '/static/../app.py'"),
    ("GET", "/api/drawing", None, 405, "method must be POST here, not 'GET'"),
    ("PUT", "/api/image", b"x", 405, "method must be POST here, not 'PUT'"),
    ("POST", "/", b"x", 405, "method must be GET, HEAD here, not 'POST'"),
    ("DELETE", "/static/page.js", None, 405, "method must be GET, HEAD here, not 'DELETE'"),
    ("POST", "/api/image", b"text", 400, "file must be an image in PNG, JPEG, WEBP, GIF or BMP"),
    ("POST", "/api/image?inverted=yes", b"", 400, "inverted must be 0 or 1, not 'yes'"),
    ("POST", "/api/image", b"", 400, "file must be an image in PNG, JPEG, WEBP, GIF or BMP: it is empty"),
    ("POST", "/api/drawing", b"[]", 400, "drawing: file must be JSON of strokes"),
    ("POST", "/api/examples/24", None, 404, "examples must be in 0..23, not 24"),
    ("GET", "/api/examples/99.png", None, 404, "examples must be in 0..23, not 99"),
    ("POST", "/api/examples/-1", None, 404, "address must be one of this server, not '/api/examples/-1'"),
    ("POST", "/api/examples/%D9%A3", None, 404, "address must be one of this server, not '/api/examples/"),
    # More digits than Python makes an integer of.
    ("POST", f"/api/examples/{'9' * 5000}", None, 404, "address must be one of this server, not '/api/examples/999"),
    ("GET", f"/api/examples/{'9' * 5000}.png", None, 404, "address must be one of this server, not '/api/examples/9"),
])  # fmt: skip
def test_wrong_requests(port, method, path, body, status, text):
    assert error_of(ask(port, method, path, body), status).startswith(text)


def answer_to(port, request):
    """All that is answered to the beginning of a request."""
    with closing(socket.create_connection(("127.0.0.1", port), 300)) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_forms(port):
    """What `curl -F` and a form of a page send."""
    for kind in ("multipart/form-data; boundary=x", "Multipart/Form-Data"):
        answer = ask(port, "POST", "/api/image", b"--x--", Content_Type=kind)
        assert (
            error_of(answer, 415)
            == "request must have the file itself as its content (curl --data-binary @FILE), not a form"
        )


def test_answer_to_all_that_is_too_large(port):
    """It arrives, although the file does not; the same if nobody reads the file at all."""
    body = bytes(MOST_BYTES + (8 << 20))  # more than the buffers of a connection hold
    for path, headers, status, text in (
        ("/api/image", {}, 413, "file must have at most 16,777,216 bytes"),
        ("/api/image", {"Origin": "null"}, 403, "origin must be this page, not 'null'"),
        ("/absent", {"Connection": "close"}, 404, "address must be one of this server, not '/absent'"),
    ):
        assert error_of(ask(port, "POST", path, body, **headers), status) == text


def test_rest_is_dropped_within_bounds(port, monkeypatch):
    """Whoever goes on sending, or does not, has had the answer when the connection ends."""
    monkeypatch.setattr(remainder, "PATIENCE", 0.2)
    request = b"POST /api/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", port), 300)) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert answer.startswith(b"HTTP/1.1 413 ") and b"connection: close" in answer
    monkeypatch.setattr(remainder, "PATIENCE", 300)
    monkeypatch.setattr(remainder, "MOST_DROPPED", 1 << 20)
    with closing(socket.create_connection(("127.0.0.1", port), 300)) as connection:
        connection.sendall(request)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(ConnectionError):
            while True:
                connection.sendall(bytes(1 << 16))


def test_too_many_bytes(port, monkeypatch):
    """Refused by what is announced, or as soon as too many have come."""
    monkeypatch.setattr(remainder, "PATIENCE", 0.2)
    text = "file must have at most 16,777,216 bytes"
    answer = answer_to(port, b"POST /api/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 413 ") and text.encode() in answer
    chunk = b"%x\r\n%s\r\n" % (MOST_BYTES + 1, bytes(MOST_BYTES + 1))
    answer = answer_to(
        port, b"POST /api/image HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
    )
    assert answer.startswith(b"HTTP/1.1 413 ") and text.encode() in answer


def test_too_slow(port, monkeypatch):
    monkeypatch.setattr(app, "SECONDS", 0.2)
    monkeypatch.setattr(remainder, "PATIENCE", 0.2)
    answer = answer_to(port, b"POST /api/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 408 ") and b"file must come within 0.2 seconds" in answer


@pytest.mark.parametrize("headers, text", [
    ({"Host": "evil.example"}, "host must be an address or localhost, not 'evil.example'"),
    ({"Host": "localhost.evil.example:8000"}, "host must be an address or localhost"),
    ({"Host": ""}, "host must be an address or localhost, not ''"),
    ({"Host": "[::1"}, "host must be an address or localhost"),
    ({"Origin": "http://evil.example"}, "origin must be this page, not 'http://evil.example'"),
    ({"Origin": "null"}, "origin must be this page, not 'null'"),
    ({"Host": "localhost:80", "Origin": "http://localhost:81"}, "origin must be this page"),
])  # fmt: skip
def test_other_sites(port, hardware, headers, text):
    before = len(hardware.images)
    assert error_of(ask(port, "POST", "/api/examples/0", **headers), 403).startswith(text)
    assert len(hardware.images) == before


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8000", "192.168.1.7"])
def test_this_page(port, host):
    status, _headers, _content = ask(port, "POST", "/api/examples/0", Host=host, Origin=f"http://{host}")
    assert status == 200


def test_reading_from_another_site_needs_our_name(port):
    assert ask(port, "GET", "/api/model", Host="evil.example")[0] == 403
    assert ask(port, "GET", "/", Host="localhost", Origin="http://evil.example")[0] == 200  # it cannot read the answer


def test_lost_hardware():
    """An error on the page; the server goes on, and the next request may succeed."""

    class Unsteady(ByTheModel):
        lost = True

        def classify(self, pixels):
            if self.lost:
                raise CommandError("no answer from /dev/ttyUSB0")
            return super().classify(pixels)

    hardware = Unsteady(digits())
    with served(hardware) as port:
        text = error_of(ask(port, "POST", "/api/examples/0"), 503)
        assert text == "the hardware does not answer: no answer from /dev/ttyUSB0"
        assert ask(port, "GET", "/api/model")[0] == 200
        hardware.lost = False
        assert ask(port, "POST", "/api/examples/0")[0] == 200
    assert hardware.closed == 1


class Slow(ByTheModel):
    """Waits until it may go on."""

    def __init__(self, model):
        super().__init__(model)
        self.begun, self.go_on, self.at_once, self.most = threading.Event(), threading.Event(), 0, 0

    def classify(self, pixels):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.begun.set()
        assert self.go_on.wait(300)
        self.at_once -= 1
        return super().classify(pixels)


def test_one_at_a_time(monkeypatch):
    """Others wait, and too many are told so."""
    monkeypatch.setattr(app, "MOST_WAITING", 2)
    hardware, answers = Slow(digits()), []
    with served(hardware) as port:
        threads = [threading.Thread(target=lambda: answers.append(ask(port, "POST", "/api/examples/0")))
                   for _ in range(5)]  # fmt: skip
        for thread in threads:
            thread.start()
        limit = time.monotonic() + 300
        while len(answers) < 2 and time.monotonic() < limit:
            time.sleep(0.01)
        refused = list(answers)
        hardware.go_on.set()
        for thread in threads:
            thread.join(300)
    assert [error_of(answer, 503) for answer in refused] == [
        "too many are waiting for the hardware; try again in a moment"
    ] * 2
    assert sorted(status for status, _headers, _content in answers) == [200] * 3 + [503] * 2
    assert len(hardware.images) == 3 and hardware.most == 1


def test_whoever_has_gone_away_costs_the_hardware_nothing():
    hardware = Slow(digits())
    with served(hardware) as port:
        first = threading.Thread(target=ask, args=[port, "POST", "/api/examples/0"])
        first.start()
        assert hardware.begun.wait(300)
        with closing(socket.create_connection(("127.0.0.1", port), 300)) as gone:
            gone.sendall(b"POST /api/examples/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            assert ask(port, "GET", "/api/model")[0] == 200  # until the server has seen it
        hardware.go_on.set()
        first.join(300)
        assert ask(port, "POST", "/api/examples/2")[0] == 200
    assert len(hardware.images) == 2


def test_model_without_examples_and_drawings():
    with served(ByTheModel(MODEL)) as port:  # trained on noise
        _status, _headers, model = ask(port, "GET", "/api/model")
        assert model["examples"] == [] and not model["drawing"]
        body = json.dumps({"strokes": STROKES[3]})
        text = error_of(ask(port, "POST", "/api/drawing", body), 400)
        assert text == "drawings must be for a model of mnist5k or digits, and this is another"
        assert ask(port, "POST", "/api/image", content_of(np.zeros((9, 9), dtype=np.uint8)))[0] == 200
