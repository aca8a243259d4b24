"""The register map of the network accelerator, described once.

`register_map(config)` lists its registers, as `rtl.control.registers` does for the attention accelerator. Offsets and
names are the same in every configuration, but TAPE_BASE is not there where the tape comes as a stream, and TAPE_ADDRESS
and TAPE_DATA are there only where it lies in memory on the chip. An accelerator may have fewer performance counters,
and no error counts.

    0x000  what was built: identification, version, sizes (constants)
    0x040  control, status, events, interrupts
    0x080  parameters of the next job, sum of the tape
    0x0C0  performance counters of the running or last job
    0x100  error counts
"""

from taylorvit.rtl import __version__
from taylorvit.rtl.attention import kernel_number
from taylorvit.rtl.control.description import (
    COUNTERS_OFFSET,
    DATA_WIDTH,
    Access,
    Field,
    Register,
    RegisterMap,
    constant,
    control_registers,
    counter,
    counter_widths,
    parameter,
)
from taylorvit.rtl.network.command import Kind
from taylorvit.rtl.network.config import COUNTERS

__all__ = ["EVENTS", "IDENTIFICATION", "IMAGES_WIDTH", "KIND_COUNTERS", "TAPE_SOURCES", "register_map"]

IDENTIFICATION = int.from_bytes(b"TVIT", "big")
"""Value of register ID."""

IMAGES_WIDTH = 16
"""Bits of the number of images of a job."""

TAPE_SOURCES = ("axi", "stream", "memory")
"""Values of `NetworkConfig.tape_source`, in the order of their numbers in register TAPE."""

_CHECK = Field(name="CHECK", low=2, width=1,
               description="start a job that reads TAPE_LENGTH bytes of the tape once and computes nothing; then "
                           "TAPE_SUM is their CRC. A START in the same write is ignored")  # fmt: skip

_KINDS = {
    Kind.EMBEDDING: "the embedding of the patches",
    Kind.QUERY_KEY_VALUE: "queries, keys and values",
    Kind.ATTENTION: "the attention kernel's products",
    Kind.PROJECTION: "the projections behind attention",
    Kind.MLP_UP: "the first layers of the MLPs",
    Kind.MLP_DOWN: "the second layers of the MLPs",
    Kind.HEAD: "the classification head",
    Kind.OTHER: "nothing of these",
}

KIND_COUNTERS = tuple(f"CYCLES_{kind.name}" for kind in Kind)
"""The counters of cycles by the part of the network, in the order of `rtl.network.command.Kind`."""

EVENTS = {
    "DONE": (0, "the job has finished: the last logit of the last image has been taken"),
    "BAD_VALUE": (1, "a register was written a value out of its range; it keeps its old value"),
    "START_WHILE_BUSY": (2, "START was written while a job ran; the job is undisturbed"),
    "DENOMINATOR": (3, "a row of attention had no positive denominator and is saturated"),
    "IMAGE_SHORT": (4, "TLAST of the image stream before the last beat of an image, which is filled up with zeros"),
    "IMAGE_LONG": (5, "no TLAST of the image stream at the last beat of an image; the rest up to TLAST is dropped"),
    "TAPE_MAGIC": (8, "the tape does not begin with 'TViT'; the job has been ended, as by all that follow"),
    "TAPE_VERSION": (9, "the tape has another version of the format"),
    "TAPE_CONFIGURATION": (10, "the tape is for another configuration of the accelerator"),
    "TAPE_LENGTH": (11, "the tape's length is not TAPE_LENGTH, or END or TLAST is not at its end"),
    "TAPE_CRC": (12, "the tape's CRC is wrong"),
    "COMMAND": (13, "a command of the tape is unknown, or its sum is wrong"),
    "STUCK": (14, "nothing moved for so long that the commands of the tape cannot be right"),
    "AXI_ERROR": (16, "the memory of the tape answered SLVERR or DECERR"),
    "TAPE_TIMEOUT": (17, "the source of the tape kept the running job waiting for TIMEOUT cycles"),
    "IMAGE_TIMEOUT": (18, "the image stream kept the running job waiting for TIMEOUT cycles"),
    "IMAGE_SIZES": (
        19,
        "with IMAGE_ORDER 1, PATCH_SIZE is not of whole beats, PATCH_PIXELS not of whole colours, or "
        "PATCHES not of whole rows of PATCHES_A_ROW",
    ),
}
"""Events: name -> (bit in EVENTS and INTERRUPT_ENABLE, description). All but DONE are errors and are counted."""

_WITH_CYCLES = ("CYCLES", "IMAGES_DONE")  # the counters of `counters` "cycles"

_COUNTED_BY_CORE = {
    "CYCLES": "cycles in which the job ran (STATUS.BUSY)",
    "ARRAY_BUSY": "of these, cycles in which the array got an operand",
    "STALL_TAPE": "of these, cycles in which the array waited for the tape",
    "STALL_IMAGE": "of these, cycles in which the array waited for an image",
    "STALL_OUTPUT": "of these, cycles in which the array waited for room for logits",
    "STALL_DATA": "of these, cycles in which the array waited for earlier products or for a LayerNorm",
}


def _built(config):
    """Constants: what was built."""
    major, minor, patch = (int(number) for number in __version__.split("."))
    return [
        constant("ID", 0x000, "identification",
            ("ID", 0, 32, IDENTIFICATION, "'TVIT' in ASCII")),
        constant("VERSION", 0x004, "version of the generator",
            ("PATCH", 0, 8, patch, "patch"),
            ("MINOR", 8, 8, minor, "minor"),
            ("MAJOR", 16, 8, major, "major")),
        constant("ARRAY_SIZE", 0x008, "size of the systolic array",
            ("ROWS", 0, 16, config.rows, "rows of SA-General and SA-Diag"),
            ("COLUMNS", 16, 16, config.columns, "columns of SA-General")),
        constant("NUMBER_FORMAT", 0x00C, "number format",
            ("DATA_WIDTH", 0, 8, config.data_width, "bits of pixels, weights and activations"),
            ("RESIDUAL_WIDTH", 8, 8, config.residual_width, "bits of the residual stream"),
            ("SUM_WIDTH", 16, 8, config.sum_width, "bits of the sums of linear layers"),
            ("KERNEL", 24, 8, kernel_number(config.kernel), f"attention kernel: {config.kernel}")),
        constant("MAX_SIZES", 0x010, "limits of a job",
            ("MAX_TOKENS", 0, 16, config.max_tokens, "most tokens of an image, prefix tokens included"),
            ("MAX_PATCH", 16, 16, config.max_patch, "largest PATCH_PIXELS")),
        constant("MAX_LAYERS", 0x014, "limits of a model",
            ("MAX_WIDTH", 0, 16, config.max_width, "most features of a token"),
            ("MAX_HIDDEN", 16, 16, config.max_hidden, "most hidden features of the MLP")),
        constant("MAX_HEADS", 0x018, "limits of a model",
            ("MAX_HEADS", 0, 16, config.max_heads, "most attention heads"),
            ("MAX_HEAD_DIM", 16, 16, config.max_head_dim, "most features of a head")),
        constant("MAX_CLASSES", 0x01C, "limit of a job",
            ("MAX_CLASSES", 0, 16, config.max_classes, "largest CLASSES")),
        constant("STREAM", 0x020, "data streams",
            ("IMAGE_LANES", 0, 16, config.image_lanes, "pixels a beat"),
            ("TAPE_BYTES", 16, 16, config.tape_bytes, "bytes of the tape a word")),
        constant("TAPE", 0x024, "where tapes come from, and what they are",
            ("SOURCE", 0, 8, TAPE_SOURCES.index(config.tape_source),
             "0: AXI4 read master, 1: AXI4-Stream, 2: memory on the chip"),
            ("FORMAT", 8, 16, config.tape_format, "version of the format of tapes")),
        constant("TAPE_HASH_0", 0x028, "hash of the configuration that a tape must name",
            ("TAPE_HASH_0", 0, 32, config.tape_hash & 0xFFFFFFFF, "its bits 31..0")),
        constant("TAPE_HASH_1", 0x02C, "hash of the configuration that a tape must name",
            ("TAPE_HASH_1", 0, 32, config.tape_hash >> 32, "its bits 63..32")),
        constant("TAPE_MEMORY", 0x030, "memory on the chip for tapes",
            ("TAPE_MEMORY", 0, 32, config.tape_memory_bytes, "its bytes, 0 if there is none")),
        counter_widths(0x034, config,
            ("COUNTERS", 16, 8, COUNTERS.index(config.counters),
             "0: no performance counters, 1: CYCLES and IMAGES_DONE alone, 2: all")),
    ]  # fmt: skip


def _job(config):
    """Parameters of the next job, the sum of its tape, and the port by which a memory on the chip is filled."""
    shortest, longest = config.shortest_tape, config.tape_memory_bytes or (1 << DATA_WIDTH) - 1
    patches = config.max_tokens - 1
    registers = [
        parameter("IMAGES", 0x080, 1, (1 << IMAGES_WIDTH) - 1, 1, "images of the job"),
        parameter("PATCHES", 0x084, 1, patches, patches, "patches of an image"),
        parameter("PATCH_PIXELS", 0x088, 1, config.max_patch, config.max_patch, "pixels of a patch, colours counted"),
        parameter("CLASSES", 0x08C, 1, config.max_classes, config.max_classes, "logits of an image"),
        parameter("TAPE_LENGTH", 0x094, shortest, longest, shortest, "bytes of the tape"),
        parameter("IMAGE_ORDER", 0x0A0, 0, 1, 0, "0: images come patch by patch, 1: row by row"),
        parameter("PATCH_SIZE", 0x0A4, 1, config.largest_patch_size, config.largest_patch_size,
                  "with IMAGE_ORDER 1: pixels of a side of a patch, a multiple of IMAGE_LANES"),
        parameter("PATCHES_A_ROW", 0x0AC, 1, patches, patches,
                  "with IMAGE_ORDER 1: patches beside each other, a divisor of PATCHES"),
        parameter("TIMEOUT", 0x0A8, 1, (1 << config.counter_width) - 1, config.input_timeout,
                  "cycles that the running job waits for the tape or an image, until TAPE_TIMEOUT or IMAGE_TIMEOUT"),
        counter("TAPE_SUM", 0x0B0, Access.READ_ONLY, DATA_WIDTH,
                "when a job by CHECK is DONE, the CRC-32 of all bytes that it has read, as zlib computes it; other "
                "jobs leave nothing of use here, a job that was ended and a reset leave 0"),
    ]  # fmt: skip
    if config.tape_source != "stream":
        last = (config.tape_memory_bytes or 1 << DATA_WIDTH) - 1
        text = "address of the tape's first byte, whose bits below a word of the tape are ignored"
        registers.append(parameter("TAPE_BASE", 0x090, 0, last, 0, text))
    if config.tape_source == "memory":
        registers += [
            parameter("TAPE_ADDRESS", 0x098, 0, config.tape_memory_bytes, 0,
                      "byte of the memory on the chip that TAPE_DATA goes to, whose lowest two bits are ignored; "
                      "4 more with each write of TAPE_DATA"),
            Register(name="TAPE_DATA", offset=0x09C, access=Access.WRITE_ONLY,
                     description="four bytes for the memory on the chip; BAD_VALUE behind its end",
                     fields=(Field(name="TAPE_DATA", low=0, width=DATA_WIDTH, description="the bytes"),)),
        ]  # fmt: skip
    return registers


def _counters(config):
    """Performance counters, as many as there are."""
    names = [
        *_COUNTED_BY_CORE.items(),
        ("IMAGES_DONE", "images of the job whose logits have left"),
        ("IMAGE_CYCLES", "cycles from the logits of the last image but one to those of the last one"),
        *((name, f"cycles of the job for {_KINDS[kind]}") for name, kind in zip(KIND_COUNTERS, Kind)),
    ]
    for index, (name, description) in enumerate(names):
        if config.counters == "none" or config.counters == "cycles" and name not in _WITH_CYCLES:
            continue
        width = IMAGES_WIDTH if name == "IMAGES_DONE" else config.counter_width
        yield counter(name, COUNTERS_OFFSET + 4 * index, Access.READ_ONLY, width, description)


def _error_counts(config):
    """A count of each error, unless they have no bits."""
    errors = [name for name in EVENTS if name != "DONE" and config.error_count_width]
    for index, name in enumerate(errors):
        text = f"{name} events since reset or since this register was written"
        yield counter(f"COUNT_{name}", 0x100 + 4 * index, Access.WRITE_TO_CLEAR, config.error_count_width, text)


def register_map(config):
    """The `RegisterMap` of the network accelerator built from `config`, a `NetworkConfig`."""
    registers = [
        *_built(config),
        *control_registers(EVENTS, _CHECK),
        *_job(config),
        *_counters(config),
        *_error_counts(config),
    ]
    return RegisterMap(tuple(sorted(registers, key=lambda register: register.offset)))
