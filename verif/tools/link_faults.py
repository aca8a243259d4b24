"""Faults in the blocks of the host link that fill the memory of tapes."""

from __future__ import annotations

from taylorvit.gen.verilog import emit
from verif.fpga.link import test_memory_writer, test_register_loader
from verif.rtl.harness import SideBySide

from .planting import Design, Fault, Stage

__all__ = ["LINK"]

_WRITER = (
    Fault("byte taken while a word waits", "memory_writer_small", r"!gathered && !write_valid", "!gathered"),
    Fault("byte taken while a word is looked at", "memory_writer_small", r"!gathered && !write_valid", "!write_valid"),
    Fault("word beyond the end", "memory_writer_small", r"(\(address <) 6'd40(\)\) write_valid)", r"\1 6'd44\2"),
    Fault("address that is no multiple of 4", "memory_writer_small", r" \|\| \|write_data\[1:0\]", ""),
    Fault("upper bits of the address not looked at", "memory_writer_small", r"\|write_data\[31:6\] \|\| ", ""),
    Fault("impossible address within the memory", "memory_writer_small", r" \| \{6\{impossible\}\}", ""),
    Fault("next word at the same address", "memory_writer_small", r"(address\[5:2\]) \+ 4'd1", r"\1"),
    Fault("bytes in the wrong order", "memory_writer_small", r"\{packets_data, write_data\[31:8\]\}",
          "{write_data[23:0], packets_data}"),
    Fault("end within a word is not told", "memory_writer_small", r"\(wrong \|\| \|byte_1\)", "wrong"),
    Fault("beginning of a word outlasts its packet", "memory_writer_small", r"if \(packets_end\) byte_1 <= 2'd0;", ""),
    Fault("address outlasts its packet", "memory_writer_small", r"if \(packets_end\) addressed <= 1'b0;", ""),
    Fault("packet without a word is not told", "memory_writer_small", r"if \(packets_end\) wrong <= 1'b1;", ""),
    Fault("word beyond the end is not told", "memory_writer_small", r"else if \(addressed\) wrong <= 1'b1;", ""),
)  # fmt: skip

_LOADER = (
    Fault("word in the middle of a write of the host", "register_loader", r" && !host_writes;", ";"),
    Fault("word before a write of the host that comes with it", "register_loader", r"write_valid && !either_1 &&",
          "write_valid &&"),
    Fault("answer for a word to the host", "register_loader", r"(s_axil_bvalid = m_axil_bvalid) && !loading", r"\1"),
    Fault("address of the host taken beside a word's", "register_loader", r"(awready = m_axil_awready) && !loading",
          r"\1"),
    Fault("data of the host taken beside a word's", "register_loader", r"(wready = m_axil_wready) && !loading", r"\1"),
    Fault("registers in the wrong order", "register_loader", r"8'd156 : 8'd152", "8'd152 : 8'd156"),
    Fault("address into both registers", "register_loader", r"data_follows \? write_data : write_address",
          "write_address"),
    Fault("bytes left out by the host left out of a word", "register_loader", r" \| \{4\{loading\}\}", ""),
    Fault("address offered twice", "register_loader", r"address_valid && !m_axil_awready", "address_valid"),
    Fault("data offered twice", "register_loader", r"data_valid && !m_axil_wready", "data_valid"),
    Fault("word taken after its address", "register_loader", r"(write_ready = loading) && data_follows", r"\1"),
    Fault("data forgotten", "register_loader", r"loading <= !data_follows", "loading <= 1'b0"),
    Fault("half a word outlasts a reset", "register_loader", r"if \(rst\) data_follows <= 1'b0;\s+else if",
          "if"),
)  # fmt: skip

LINK = (
    Design(
        "memory writer", SideBySide.module_name, lambda: emit(SideBySide(test_memory_writer.blocks())),
        tuple(Stage(testcase.replace("_", " "), test_memory_writer.__name__, testcase, {}) for testcase in (
            "words_come_out_once_and_in_order", "a_packet_without_a_word_is_malformed",
            "a_word_waits_for_the_memory",
        )),
        _WRITER, optimized=False,
    ),
    Design(
        "register loader", "register_loader", lambda: emit(test_register_loader.block()),
        tuple(Stage(testcase.replace("_", " "), test_register_loader.__name__, testcase, {}) for testcase in (
            "words_and_accesses_share_the_bus", "a_reset_ends_any_access",
        )),
        _LOADER, optimized=False,
    ),
)  # fmt: skip
