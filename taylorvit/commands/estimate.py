"""`taylorvit estimate`: cycles of a network on a network accelerator, without simulating it."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from taylorvit.boundary.command import console, needs, real_number, whole_number
from taylorvit.models import bundled_model, bundled_names

from .board_options import add_board_network, network_accelerator_of

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.description = (
        "Computes the cycles of one image of many back to back: by operation, and what they wait for. "
        "They are those that the hardware counts."
    )
    parser.add_argument(
        "model",
        metavar="NETWORK",
        help=f"integer model: one of {', '.join(bundled_names())}, or a file of `taylorvit quantize`; or the name of a "
        "shape, as deit_tiny (a wrong name shows them all)",
    )
    add_board_network(parser)
    parser.add_argument(
        "--attention",
        action="append",
        default=[],
        metavar="LAYERS=KERNEL",
        help="attention kernel of layers, which count from 0: all=softmax, 0-2,5=taylor; may be given several times, "
        "later ones go over earlier ones (default: that of the model; of a shape, the accelerator's first kernel)",
    )
    parser.add_argument(
        "--bytes-per-cycle",
        type=real_number(0.001, 4096),
        metavar="BYTES",
        help="bandwidth of the memory that holds the tape (default: it always has a word)",
    )
    parser.add_argument(
        "--latency",
        type=whole_number(0, 100_000),
        default=20,
        metavar="CYCLES",
        help="of that memory, from asking for a burst to its first word (default: 20)",
    )


@needs("train")
def run(arguments: Namespace) -> None:
    """Carries out the command."""
    from taylorvit.compiler import Memory, cycles_of
    from taylorvit.compiler.fitting import check_kernels, check_shape
    from taylorvit.compiler.listing import cycles_table
    from taylorvit.golden.attention.by_layer import by_layer
    from taylorvit.golden.network.integer_vit import load_integer_vit
    from taylorvit.golden.network.program import KERNELS
    from taylorvit.golden.network.vit import SHAPES

    config = network_accelerator_of(arguments, "estimate")
    if arguments.model in SHAPES:
        shape = SHAPES[arguments.model]
        kernels = config.kernels[:1] * shape.depth
    elif arguments.model in bundled_names() or Path(arguments.model).suffix == ".safetensors":
        model = load_integer_vit(bundled_model(arguments.model))
        shape, kernels = model.shape, model.kernels
    else:
        names = ", ".join([*bundled_names(), *SHAPES])
        raise ValueError(f"network must be a .safetensors or one of {names}, not {arguments.model!r}")
    kernels = by_layer(arguments.attention, kernels, names=KERNELS)
    check_shape(shape, config)
    check_kernels(kernels, config)
    memory = Memory(arguments.bytes_per_cycle, arguments.latency)
    with console(stderr=True).status("counting cycles"):
        image = cycles_of(shape, config, memory, kernels=kernels)
    console().print(cycles_table(image, config, arguments.model))
