"""`taylorvit serve`: a page in the browser, on which an accelerator classifies drawings and images."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console, needs, real_number, whole_number
from taylorvit.models import bundled_names

from .options import add_configuration

__all__ = ["add_arguments", "run"]

_MODEL = "mnist5k"
_HOST, _PORT = "127.0.0.1", 8000
_CLOCK_MHZ = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Serves a web page: draw a digit or drop an image, see its class, the margins, where the class token looks, "
        "cycles and time. Ctrl-C ends it. The page needs no network, and other machines do not reach it unless --host "
        "says so."
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--sim", action="store_true", help="simulate the generated Verilog of the network accelerator")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        default=_MODEL,
        help="folder of `taylorvit compile`, file of `taylorvit quantize`, or one of "
        f"{', '.join(bundled_names())} (default: {_MODEL})",
    )
    add_configuration(parser, required=False, accelerator="network")
    parser.add_argument(
        "--clock",
        metavar="MHZ",
        type=real_number(0.001, 10_000, "MHz"),
        default=_CLOCK_MHZ,
        help=f"clock for which the time is told (default: {_CLOCK_MHZ} MHz)",
    )
    parser.add_argument(
        "--host", default=_HOST, help=f"address to listen on (default: {_HOST}, which other machines do not reach)"
    )
    parser.add_argument(
        "--http-port", metavar="N", type=whole_number(0, 65535), default=_PORT, help=f"(default: {_PORT}; 0: any)"
    )


@needs("sim,train,web")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.web.app import make_app
    from taylorvit.web.server import Server, listen, url_of
    from taylorvit.web.simulated import SimulatedClassifier

    from .model_choice import chosen_model
    from .verdict import progress_bars

    screen = console()
    with listen(arguments.host, arguments.http_port) as listener:
        model = chosen_model(arguments.model, arguments, "serve")
        with progress_bars() as progress:
            progress.add_task(f"building the simulation of {model.config.name}", total=None)
            classifier = SimulatedClassifier(model, clock_mhz=arguments.clock)
        app = make_app(classifier)
        screen.print(f"{model.name} on {classifier.place}: {url_of(listener)}")
        sys.stdout.flush()
        Server(app, classifier).serve_until_interrupted(listener)
    screen.print("ended")
