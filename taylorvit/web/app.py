"""The server's answers: the page, what it shows, and what an accelerator makes of a submission.

    GET  /                       the page; its files are below /static
    GET  /api/model              what is served: model, accelerator, classes, examples
    GET  /api/examples/N.png     a picture of an example
    POST /api/examples/N         classifies it
    POST /api/drawing            classifies strokes (`web.submissions`)
    POST /api/image              classifies the content of an image file; ?inverted=1 makes white what is black

An answer is JSON, of an error {"error": one sentence}.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from taylorvit.boundary.errors import CommandError
from taylorvit.golden.training.images import DATASETS
from taylorvit.jobs.compiled_model import CompiledModel
from taylorvit.jobs.images import Images, read_images

from .answers import answer, png
from .classifier import Classifier
from .drawing import STYLES, Style
from .guard import Guard
from .remainder import Remainder
from .submissions import MOST_BYTES, pixels_of_drawing, pixels_of_image
from .turns import BusyError, Turns

__all__ = ["make_app"]

STATIC = Path(__file__).with_name("static")

EXAMPLES = 24
MOST_WAITING = 8
SECONDS = 60  # in which all of a request must have come

_MOST_DIGITS = 9  # of the number of an example
_GONE = 499  # nobody reads it
_TOO_LARGE = f"file must have at most {MOST_BYTES:,} bytes"
_ENDING = "the server is ending"


def make_app(classifier: Classifier) -> Starlette:
    """The application.

    Args:
        classifier (Classifier): the hardware.

    Returns:
        Starlette: the application. Who waits for the hardware is told that the server ends once `state.ending` is true.
    """
    service = _Service(classifier)
    routes = [
        Route("/", service.page),
        Route("/api/model", service.model),
        Route("/api/examples/{index}.png", service.picture),
        Route("/api/examples/{index}", service.example, methods=["POST"]),
        Route("/api/drawing", service.drawing, methods=["POST"]),
        Route("/api/image", service.image, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Remainder), Middleware(Guard)],
        exception_handlers={HTTPException: _refused, ClientDisconnect: _left},
    )
    app.state.ending = False
    return app


class _Service:
    """What the routes answer with."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._style = _style_of(classifier.model)
        self._examples = _examples_of(classifier.model)
        self._turns = Turns(MOST_WAITING)

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def model(self, _request: Request) -> Response:
        model, shape = self._classifier.model, self._classifier.model.vit.shape
        return JSONResponse(
            {
                "name": model.name,
                "data": model.vit.data.get("name"),
                "place": self._classifier.place,
                "clock_mhz": self._classifier.clock_mhz,
                "array": [model.config.rows, model.config.columns],
                "classes": model.classes,
                "size": shape.image_size,
                "channels": shape.channels,
                "patches": shape.image_size // shape.patch_size,
                "layers": shape.depth,
                "drawing": self._style is not None,
                "files": shape.channels in (1, 3),
                "most_bytes": MOST_BYTES,
                "examples": self._examples.labels,
            }
        )

    async def picture(self, request: Request) -> Response:
        return Response(png(self._example(request)), media_type="image/png", headers={"cache-control": "no-cache"})

    async def example(self, request: Request) -> Response:
        pixels = self._example(request)
        return await self._classified(request, lambda: pixels)

    async def drawing(self, request: Request) -> Response:
        if self._style is None:
            raise HTTPException(400, f"drawings must be for a model of {' or '.join(STYLES)}, and this is another")
        content = await _content(request)
        return await self._classified(request, partial(pixels_of_drawing, content, self._style))

    async def image(self, request: Request) -> Response:
        inverted = request.query_params.get("inverted", "0")
        if inverted not in ("0", "1"):
            raise HTTPException(400, f"inverted must be 0 or 1, not {inverted!r}")
        content, shape = await _content(request), self._classifier.model.vit.shape
        return await self._classified(request, partial(pixels_of_image, content, shape, inverted=inverted == "1"))

    def _example(self, request: Request) -> np.ndarray:
        text = request.path_params["index"]
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
            raise HTTPException(404)
        index = int(text)
        if index >= len(self._examples.pixels):
            raise HTTPException(404, f"examples must be in 0..{len(self._examples.pixels) - 1}, not {index!r}")
        return self._examples.pixels[index]

    async def _classified(self, request: Request, prepare: Callable[[], np.ndarray]) -> Response:
        try:
            async with self._turns.turn():
                if request.app.state.ending:
                    raise HTTPException(503, _ENDING)
                if await request.is_disconnected():  # whoever draws on has sent something newer
                    return Response(status_code=_GONE)
                return JSONResponse(await run_in_threadpool(answer, self._classifier, await _prepared(prepare)))
        except BusyError:
            raise HTTPException(503, "too many are waiting for the hardware; try again in a moment") from None
        except CommandError as error:
            ending = request.app.state.ending  # it was let go
            raise HTTPException(503, _ENDING if ending else f"the hardware does not answer: {error}") from None


async def _prepared(prepare: Callable[[], np.ndarray]) -> np.ndarray:
    """The image of a submission, if it is a good one."""
    try:
        return await run_in_threadpool(prepare)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def _content(request: Request) -> bytes:
    """The body of a request, unless it is a form, too large or too slow."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise HTTPException(
            415, "request must have the file itself as its content (curl --data-binary @FILE), not a form"
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MOST_BYTES:
        raise HTTPException(413, _TOO_LARGE)
    content = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise HTTPException(413, _TOO_LARGE)
    except TimeoutError:
        raise HTTPException(408, f"file must come within {SECONDS} seconds") from None
    return bytes(content)


async def _refused(request: Request, error: Exception) -> Response:
    status, text, headers = 500, "", None
    if isinstance(error, HTTPException):
        status, text, headers = error.status_code, error.detail, error.headers
    if text == HTTPStatus.NOT_FOUND.phrase:
        text = f"address must be one of this server, not {request.url.path!r}"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = sorted((headers or {}).get("Allow", "GET, HEAD").split(", "))  # older ones say none of files
        text = f"method must be {', '.join(allowed)} here, not {request.method!r}"
    return JSONResponse({"error": text}, status, headers=headers)


async def _left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_GONE)


def _style_of(model: CompiledModel) -> Style | None:
    """How drawings have to look for the model; None if its data set is none that is drawn."""
    style, shape = STYLES.get(str(model.vit.data.get("name"))), model.vit.shape
    return style if style is not None and (shape.channels, shape.image_size) == (1, style.size) else None


def _examples_of(model: CompiledModel) -> Images:
    """Held-out images of the data set that the model was trained on; none if it comes with no package."""
    name = str(model.vit.data.get("name"))
    if name not in DATASETS:
        return Images(np.zeros((0, 0, 0, 0), dtype=np.uint8), [], [])
    return read_images([f"{name}:0-{EXAMPLES - 1}"], model.vit.shape, model.classes)
