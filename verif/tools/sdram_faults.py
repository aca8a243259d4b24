"""Faults in the blocks around the controller of a board's SDRAM."""

from __future__ import annotations

from taylorvit.fpga.memory.memory_test import MemoryTest
from taylorvit.fpga.memory.word_writer import WordWriter
from taylorvit.gen.verilog import emit
from verif.fpga.memory import test_initializer, test_memory_test, test_word_writer

from .planting import Design, Fault, Stage

__all__ = ["SDRAM"]

_TEST = (
    Fault("upper bits left out of the pattern", "memory_test", r"\{beat\[9:8\], odd_1, beat\[10:8\]\}", "8'd0"),
    Fault("beats before their burst", "memory_test", r" && \(beat\[11:8\] != burst\)", ""),
    Fault("read before all is written", "memory_test", r"!reading && answers\[3\]", "!reading && beat[11]"),
    Fault("errors of writing", "memory_test", r"bad <= reading && moves", "bad <= moves"),
    Fault("first error is the last", "memory_test", r"bad && \(errors == 32'd0\)", "bad"),
    Fault("errors of the test before", "memory_test",
          r"(errors <= errors \+ 32'd1;)\s+if \(start && !busy\) errors <= 32'd0;",
          r"\1"),
    Fault("last burst not read", "memory_test", r"reading && beat\[11\]", "reading && (beat[10:8] == 3'd7)"),
)  # fmt: skip

_WRITER = (
    Fault("next word before the answer", "word_writer", r"if \(m_bvalid\) busy <= 1'b0;",
          "if (m_awready) busy <= 1'b0;"),
    Fault("halves in the wrong order", "word_writer", r"m_wdata = rest\[15:0\]", "m_wdata = rest[31:16]"),
    Fault("first beat twice", "word_writer", r"rest <= \{16'd0, rest\[31:16\]\}", "rest <= rest"),
    Fault("last beat not told", "word_writer", r"m_wlast = left == 2'd1", "m_wlast = left == 2'd0"),
    Fault("address offered twice", "word_writer", r"if \(m_awready\) m_awvalid <= 1'b0;",
          "if (m_bvalid) m_awvalid <= 1'b0;"),
)  # fmt: skip

_INITIALIZER = (
    Fault("one refresh less", "sdram_initializer", r"4'd9: code <= 3'd4;", "4'd9: code <= 3'd7;"),
    Fault("refresh too short", "sdram_initializer", r"4'd5: left <= 7'd5;", "4'd5: left <= 7'd4;"),
    Fault("rows of one bank closed", "sdram_initializer", r"13'd1024", "13'd0"),
    Fault("long wait after a reset", "sdram_initializer", r"powered \? \d+'d\d+ : ", ""),
    Fault("no wait at power-up", "sdram_initializer", r"powered \? (\d+'d\d+) : \d+'d\d+", r"\1"),
)  # fmt: skip

SDRAM = (
    Design(
        "memory test", "memory_test",
        lambda: emit(MemoryTest(address_width=test_memory_test.ADDRESS_WIDTH, data_width=test_memory_test.DATA_WIDTH)),
        tuple(Stage(fault, test_memory_test.__name__, "errors_are_counted", {"fault": fault}) for fault in (
            "one cell", "last cell", "address line", "none",
        )),
        _TEST, optimized=False,
    ),
    Design(
        "word writer", "word_writer",
        lambda: emit(WordWriter(address_width=test_word_writer.ADDRESS_WIDTH, data_width=16)),
        (Stage("words are written", test_word_writer.__name__, "words_are_written", {"width": 16}),),
        _WRITER, optimized=False,
    ),
    Design(
        "SDRAM initializer", "sdram_initializer", lambda: emit(test_initializer.BLOCK),
        (Stage("commands come in order", test_initializer.__name__, "commands_come_in_order", {}),),
        _INITIALIZER, optimized=False,
    ),
)  # fmt: skip
