"""A server in a thread, hardware that is none, and requests as a browser or somebody else sends them."""

import json
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection

import numpy as np

from taylorvit.gen.presets import load_preset
from taylorvit.golden.network.integer_vit import load_integer_vit
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.models import bundled_model
from taylorvit.web.app import make_app
from taylorvit.web.classifier import Classification, Classifier
from taylorvit.web.server import Server, listen

__all__ = ["ByTheModel", "ask", "digits", "served"]


def digits(name: str = "digits") -> CompiledModel:
    """A bundled model, without a tape."""
    vit = load_integer_vit(bundled_model(name))
    return CompiledModel(name, load_preset("vit-tiny-4x4"), b"", vit, list(vit.data["classes"]))


class ByTheModel(Classifier):
    """Answers what the integer model says; keeps the images."""

    place, clock_mhz = "no hardware", 50

    def __init__(self, model: CompiledModel) -> None:
        self.model, self.images, self.closed = model, [], 0

    def classify(self, pixels: np.ndarray) -> Classification:
        self.images.append(pixels)
        (logits,) = self.model.vit(pixels[np.newaxis].astype(np.int64))
        return Classification(logits, 1000 * len(self.images))

    def close(self) -> None:
        self.closed += 1


@contextmanager
def served(classifier: Classifier):
    """The port of a server that runs while the block does."""
    with listen("127.0.0.1", 0) as listener:
        server = Server(make_app(classifier), classifier)
        thread = threading.Thread(target=server.serve_until_interrupted, args=[listener])
        thread.start()
        try:
            limit = time.monotonic() + 300
            while not server.started:
                if not thread.is_alive() or time.monotonic() > limit:
                    raise AssertionError("the server must begin to serve")
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(300)
            if thread.is_alive():
                raise AssertionError("the server must end when it is told to")


def ask(port: int, method: str, path: str, body=None, **headers: str):
    """(status, headers, content) of an answer; content is what its JSON means, or bytes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        content = response.read()
        if response.headers.get_content_type() == "application/json":
            content = json.loads(content)
        return response.status, response.headers, content
    finally:
        connection.close()
