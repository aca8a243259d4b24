"""A host at a board with a network accelerator, which judges what comes back."""

from __future__ import annotations

import numpy as np

from taylorvit.fpga.driver import Link, Transfer
from taylorvit.fpga.protocol import Stream, memory_packet, tensor_packet
from taylorvit.rtl.network.control.registers import EVENTS, register_map

__all__ = ["Host", "whole_words"]

START = 1
DONE = 1 << EVENTS["DONE"][0]


def whole_words(tape):
    """The tape, with bytes behind it up to a multiple of 4."""
    return tape.ljust(-(-len(tape) // 4) * 4, b"\0")


class Host:
    """A host that knows the protocol, and the network: a `verif.regression.network.models.Network`."""

    def __init__(self, port, network, registers=None):
        self.port = port
        self.network = network
        self.tape = whole_words(network.tape)
        self.registers = register_map(network.config) if registers is None else registers
        self.link = Link(port)
        self.identification = self.link.identify()
        self.link.reset()
        self.random = np.random.default_rng(7)

    def read(self, name):
        return self.link.read([self.registers[name].offset])[0]

    def write(self, name, value):
        if not self.link.write(self.registers[name].offset, value):
            raise AssertionError(f"register {name} must take {value:#x}, and refuses it")

    def send(self, data, results=0, possible=lambda arrived: 0):
        return Transfer(self.link, data, results, possible=possible).run()

    def load(self, address=0):
        """Sends the tape, in packets of several sizes and not in order."""
        sizes = [4, 400, 64, 1000, len(self.tape)]
        packets, at = [], 0
        for size in sizes:
            if self.tape[at : at + size]:
                packets.append(memory_packet(address + at, self.tape[at : at + size]))
            at += size
        self.send(b"".join(reversed(packets)))

    def classify(self, images, address=0):
        """Runs a job; returns its logits."""
        compiled = self.network.compiled
        parameters = {
            "IMAGES": len(images), "PATCHES": compiled.patches, "PATCH_PIXELS": compiled.patch_pixels,
            "CLASSES": self.network.classes, "TAPE_BASE": address, "TAPE_LENGTH": len(self.network.tape),
            "EVENTS": DONE,
        }  # fmt: skip
        for name, value in parameters.items():
            self.write(name, value)
        self.write("CONTROL", START)
        packets = b"".join(tensor_packet(Stream.IMAGE, self.network.beats(image, self.random)) for image in images)
        size = 4 * self.network.classes * len(images)
        results = self.send(packets, size, possible=lambda arrived: size if arrived == len(packets) else 0)
        return np.frombuffer(results, "<i4").reshape(len(images), -1).tolist()

    def expect_right(self, count, address=0):
        """Classifies some images, as the integer model does."""
        images = self.network.images(self.random, count)
        expected = self.network.logits(images)
        if np.ptp(expected) == 0:
            raise AssertionError("logits must differ, or they show nothing")
        if (got := self.classify(images, address)) != expected:
            raise AssertionError(f"logits must be {expected}, not {got}")
        if (events := self.read("EVENTS") & ~(1 << EVENTS["DENOMINATOR"][0])) != DONE:
            raise AssertionError(f"EVENTS must be {DONE:#x} but for DENOMINATOR, not {events:#x}")
        if (done := self.read("IMAGES_DONE")) != count:
            raise AssertionError(f"IMAGES_DONE must be {count}, not {done}")
