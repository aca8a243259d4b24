"""How many products before a product may be unfinished when it begins: the field `wait` of its command.

A product must wait for an earlier one that

    writes what it reads            activations, the residual stream, K, V, G, the biases of the kernel
    writes what it overwrites, or reads it; scores excepted, whose words leave their banks pass after pass, before any
                                    later product has a score
    writes the activation banks at the pace of the divider array (Z), if it writes activations too: a column has one
                                    way to the banks
    adds to the residual stream, if it does so too: there is one counter of the tokens whose sums are complete

Words are ranges of addresses in all banks of a buffer. Products finish in order, so one number says which ones may be
unfinished. A product with a LayerNorm begins when all before it are finished, and what its LayerNorm writes is there
before its last pass begins, so nothing waits for that.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import NamedTuple

from taylorvit.rtl.network.bundles import sequence_width
from taylorvit.rtl.network.command import KERNELS, Destination, Flag, Opcode, Source, Stationary
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["MOST_UNFINISHED", "waits_of"]

#: Largest `wait`: numbers of products are compared modulo 2^sequence_width.
MOST_UNFINISHED = (1 << (sequence_width - 1)) - 1


class _Words(NamedTuple):
    """Addresses of a buffer, in all of its banks.

    Attributes:
        buffer (str): the buffer.
        first (int): the first address.
        end (int): the address behind the last one.
    """

    buffer: str
    first: int
    end: int

    def overlaps(self, other: "_Words") -> bool:
        """Whether a word belongs to both."""
        return self.buffer == other.buffer and self.first < other.end and other.first < self.end


class _Uses(NamedTuple):
    """What a product does with the buffers.

    Attributes:
        reads (list[_Words]): what it reads.
        writes (list[_Words]): what it writes.
        divides (bool): whether it writes activations at the pace of the divider array.
        activates (bool): whether it writes activations otherwise.
    """

    reads: list[_Words]
    writes: list[_Words]
    divides: bool
    activates: bool

    def must_follow(self, earlier: "_Uses") -> bool:
        """Whether it may begin only when an earlier product is finished."""
        if earlier.divides and self.activates:
            return True
        read = [words for words in earlier.reads if words.buffer != "score"]
        hazards = [(self.reads, earlier.writes), (self.writes, read)]
        if not (earlier.divides and self.divides):  # rows are divided in their order
            hazards.append((self.writes, earlier.writes))
        return any(mine.overlaps(theirs) for ours, others in hazards for mine in ours for theirs in others)


def waits_of(commands: Iterable[Mapping[str, int]], config: NetworkConfig) -> list[int]:
    """The field `wait` of each product of a tape.

    Args:
        commands (Iterable[Mapping[str, int]]): fields of the commands, in their order; those that are left out are
            zero, and of `opcode` PRODUCT. The kernel of a layer is that of its CONSTANTS.
        config (NetworkConfig): the accelerator.
    """
    products, uses = [], []
    constants: Mapping[str, int] = {}
    for command in commands:
        match command.get("opcode", Opcode.PRODUCT):
            case Opcode.CONSTANTS:
                constants = command
            case Opcode.PRODUCT:
                products.append(command)
                uses.append(_uses(command, constants, config))
    waits = []
    finished = -1  # the last product that must be finished
    for index, product in enumerate(products):
        if index == 0 or Flag.NORM in Flag(product.get("flags", 0)):
            finished = index - 1  # of the image before, too
        else:
            # What must be finished for an earlier product need not be asked for again.
            for earlier in range(index - 1, finished, -1):
                if uses[index].must_follow(uses[earlier]):
                    finished = earlier
                    break
        waits.append(min(index - 1 - finished, MOST_UNFINISHED))
    return waits


def _uses(product: Mapping[str, int], constants: Mapping[str, int], config: NetworkConfig) -> _Uses:
    values = {"flags": 0, "source": 0, "stationary": 0, "destination": 0, **product}
    destination = Destination(values["destination"])
    is_softmax = KERNELS[constants.get("kernel", 0)] == "softmax"
    writes = list(_written(destination, values, config, constants["key_stride"] if is_softmax else 0))
    reads = list(_read(values, is_softmax))
    if destination == Destination.RESIDUAL and Flag.EMBEDDING not in Flag(values["flags"]):
        reads += writes
    return _Uses(reads, writes, destination == Destination.KERNEL_1, destination == Destination.ACTIVATION)


def _tiles(buffer: str, base: int, stride: int, tiles: int, length: int) -> _Words:
    return _Words(buffer, base, base + (tiles - 1) * stride + length)


def _bias(base: int) -> _Words:
    """The biases of a head, whose half is that of its V and G."""
    return _Words("bias", int(base > 0), int(base > 0) + 1)


def _read(values: Mapping[str, int], is_softmax: bool) -> Iterator[_Words]:
    """What the streamed and the stationary operand are read from."""
    source, stationary = Source(values["source"]), Stationary(values["stationary"])
    base, stride = values.get("source_base", 0), values.get("source_stride", 0)
    if source != Source.IMAGE:
        of_kernel = "score" if is_softmax else "key"
        buffer = of_kernel if source == Source.KERNEL else "activation"
        yield _tiles(buffer, base, stride, values["input_tiles"], values["length"])
    if stationary != Stationary.TAPE:
        second = "key" if is_softmax else "g"
        buffer = "value" if stationary == Stationary.KERNEL_0 else second
        base, stride = values.get("stationary_base", 0), values.get("stationary_stride", 0)
        yield _tiles(buffer, base, stride, values["output_tiles"], values["stationary_limit"])
        if buffer == "g":
            yield _bias(base)


def _written(
    destination: Destination, values: Mapping[str, int], config: NetworkConfig, turned: int
) -> Iterator[_Words]:
    """Where the totals go; `turned` is the stride of K of softmax, 0 of Taylor attention."""
    base, stride = values.get("destination_base", 0), values.get("destination_stride", 0)
    tiles, length = values["output_tiles"], values["length"]
    match destination:
        case Destination.ACTIVATION | Destination.KERNEL_1:
            rows = ceil((values.get("destination_bank", 0) + tiles * config.columns) / config.rows)
            yield _tiles("activation", base, stride, rows, length)
        case Destination.RESIDUAL:
            yield _tiles("residual", base, stride, tiles, length)
            yield _Words("sums", 0, 1)
        case Destination.KEY if turned:
            yield _tiles("key", base, turned, ceil(length / config.columns), turned)
        case Destination.KEY:
            yield _tiles("key", base, stride, ceil(length / config.rows), stride)
        case Destination.VALUE:
            yield _tiles("value", base, stride, tiles, length)
            if not turned:
                yield _bias(base)
        case Destination.KERNEL_0 if turned:
            yield _tiles("score", base, stride, ceil(tiles * config.columns / config.rows), length)
        case Destination.KERNEL_0:
            yield _tiles("g", base, stride, tiles, length)
