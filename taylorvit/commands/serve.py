"""`taylorvit serve`: a page in the browser, on which an accelerator classifies drawings and images."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from taylorvit.boundary.command import console, needs, real_number, whole_number
from taylorvit.models import bundled_names

from .board_options import add_board
from .board_port import add_baud
from .network_options import add_network
from .options import add_configuration

__all__ = ["add_arguments", "run"]

_MODEL = "mnist5k"
_HOST, _PORT = "127.0.0.1", 8000


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Serves a web page: draw a digit or drop an image, see its class, the margins, where the class token looks, "
        "cycles and time. Ctrl-C ends it. The page needs no network, and other machines do not reach it unless --host "
        "says so."
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", metavar="DEVICE", help="serial port of a board, for example /dev/ttyUSB0")
    where.add_argument(
        "--sim",
        action="store_true",
        help="simulate the generated Verilog of the network accelerator; with --board, of the whole board",
    )
    add_board(parser, required=False, note="; with --port, the bitstream must be that of the board")
    add_network(parser)
    add_baud(parser)
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="folder of `taylorvit compile`, file of `taylorvit quantize`, or one of "
        f"{', '.join(bundled_names())} (default: {_MODEL})",
    )
    add_configuration(parser, required=False, accelerator="network")
    parser.add_argument(
        "--clock",
        metavar="MHZ",
        type=real_number(0.001, 10_000, "MHz"),
        help="clock for which the time of a simulated accelerator is told (default: 100 MHz)",
    )
    parser.add_argument(
        "--host", default=_HOST, help=f"address to listen on (default: {_HOST}, which other machines do not reach)"
    )
    parser.add_argument(
        "--http-port", metavar="N", type=whole_number(0, 65535), default=_PORT, help=f"(default: {_PORT}; 0: any)"
    )


def run(arguments: Namespace) -> None:
    """Carries out the command."""
    with needs(f"{'sim' if arguments.sim else 'fpga'},train,web"):
        _serve(arguments)


def _serve(arguments: Namespace) -> None:
    from taylorvit.web.app import make_app
    from taylorvit.web.server import Server, listen, url_of

    from .serve_hardware import hardware_of

    screen = console()
    with listen(arguments.host, arguments.http_port) as listener:
        classifier = hardware_of(arguments, _MODEL)
        app = make_app(classifier)
        screen.print(f"{classifier.model.name} on {classifier.place}: {url_of(listener)}")
        sys.stdout.flush()
        Server(app, classifier).serve_until_interrupted(listener)
    screen.print("ended")
