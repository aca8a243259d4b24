"""Faults in the attention accelerator, and the compact part of its regression that must catch them."""

from __future__ import annotations

from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from verif.regression.configurations import CONFIGURATIONS

from .planting import Design, Fault, Stage

__all__ = ["ATTENTION"]

CONFIG = CONFIGURATIONS["tiny-4x4"]


def _stage(name: str, test_module: str, testcase: str, **parameters) -> Stage:
    return Stage(name, f"verif.regression.{test_module}", testcase, {"config": CONFIG.to_mapping(), **parameters})


_STAGES = (
    _stage("sizes", "test_sizes", "jobs_equal_golden",
           shapes=[(3, 7, 5), (3, 16, 16), (2, 13, 4), (2, 1, 3), (2, 64, 15), (6, 13, 4)]),
    _stage("limits", "test_extremes", "operands_and_constants_at_their_limits"),
    _stage("back-pressure", "test_streams", "idle_and_back_pressure"),
    _stage("late streams", "test_streams", "one_stream_early_or_late"),
    _stage("damaged packets", "test_errors", "many_damaged_packets"),
    _stage("silent source", "test_errors", "source_stops"),
    _stage("register errors", "test_errors", "register_values_out_of_range"),
    _stage("resets", "test_resets", "soft_reset"),
)  # fmt: skip

_FAULTS = (
    # Arithmetic
    Fault("product subtracted", "pe", r"partial_sum_in \+ (\S*product)", r"partial_sum_in - \1"),
    Fault("product loses its sign bit", "multiplier", r"(product <= )product_now;",
          r"\1{1'b0, product_now[18:0]};"),
    Fault("swap not passed on", "pe", r"swap_out <= swap_in", "swap_out <= 1'b0"),
    Fault("shadow operand loaded always", "pe", r"if \(load_in\) ", ""),
    Fault("mean added", "centring_adder", r" - (\S*mean)", r" + \1"),
    Fault("one bit less of the mean's fraction", "centring_adder", r"\{k\[7\], k, 3'd0\}",
          "{{2{k[7]}}, k, 2'd0}"),
    Fault("half not added", "requantizer", r" \+ \{25'd0, halves\[0\]\}", ""),
    Fault("saturation removed", "requantizer", r"\(rounded\[25:7\] == \S+\)",
          "(1'b1)"),
    Fault("columns swapped", "systolic_row", r"(pe general_1 [^;]*stationary_in\()stationary_in\[15:8\]",
          r"\1stationary_in[23:16]"),
    Fault("first row added to the head before", "accumulator_array", r"first_2( \? 14'd0 : \S*\[27:14\])",
          r"1'b0\1"),
    Fault("t_D = 0 taken as positive", "denominator_adder", r"denominator <= (\S*0;)", r"denominator < \1"),
    Fault("last iteration of the division left out", "divider_lane", r"\{bits_8, bit_8\};", "{bits_8, 1'b0};"),
    Fault("quotient above its range wraps", "divider_lane", r"(high_0 <= )[^;]*", r"\g<1>1'b0"),
    Fault("bias not clipped", "bias_unit", r"assign fits = [^;]*", "assign fits = 1'b1"),
    # Control
    Fault("as many tiles of Q G as of G", "sequencer", r"(\? at_last_token : )at_last_feature",
          r"\1at_last_token"),
    Fault("half of the G buffer taken while it is used", "sequencer", r"g_used != 2'd2", "1'b1"),
    Fault("half of the G buffer of the head before", "sequencer", r"(coming__payload__half <= )qg_half", r"\1g_half"),
    Fault("tile loaded over one that waits", "tile_loader", r"(coming__valid && \(empty \|\| loaded__)taken",
          r"\1valid"),
    Fault("pass handed on before its tile is complete", "tile_loader", r"\(row == 2'd1\)", "(row == 2'd2)"),
    Fault("last tile marked as the one before", "tile_loader", r"(loaded__payload__last <= )coming__payload__last",
          r"\1loaded__payload__last"),
    Fault("pass taken before the last element", "operand_streamer", r"(loaded__taken = loaded__valid && )free",
          r"\g<1>(free || (position == next_to_last))"),
    Fault("G begins without its k_mean", "operand_streamer", r"(assign waits_for_mean = )[^;]*", r"\g<1>1'b0"),
    Fault("last element not streamed", "operand_streamer", r"(next_to_last <= \S+ \S+) - 8'd2", r"\1 - 8'd3"),
    Fault("rows beyond the job not masked", "array_column", r"blank_1 \?", "1'b0 ?"),
    Fault("means of the other half", "operand_streamer", r"mean_address <= \{streaming__half",
          "mean_address <= {!streaming__half"),
    Fault("row queue never full", "operand_streamer", r"(queue_has_room <= )[^;]*<=[^;]*", r"\g<1>1'b1"),
    Fault("Z written to one half only", "division_scheduler", r"result__address <= \{row__half",
          "result__address <= {1'b0"),
    Fault("sums of the product before kept", "partial_sum_accumulator", r"= first\w* \? (\d+'d0) :", r"= 1'b0 ? \1 :"),
    Fault("job ends before its last packet", "job_control", r"(heads_left == 12'd0\) && )[^;]*", r"\g<1>1'b1"),
    # Streams
    Fault("data changes while the sink waits", "stream_sender", r"else if \([^)]*\) begin(?=\s+m_tdata)", "else begin"),
    Fault("TLAST stuck", "stream_sender", r"m_tlast <= oldest\S*;", "m_tlast <= 1'b1;"),
    Fault("operand buffer overwritten", "stream_loader_v", r"(s_tready = [^;]*\? )ready", r"\1(heads_left != 12'd0)"),
    Fault("missing beats not zero", "stream_loader_k", r"assign filling = [^;]*", "assign filling = 1'b0"),
    # Resets
    Fault("token not reset", "matrix_position_64x16_4", r"if \(rst\) token <= 6'd0;\s+else ", ""),
    Fault("bias unit not reset by a soft reset", "taylorvit",
          r"\.rst\(bias_unit_reset__o\)", ".rst(rst)"),
)  # fmt: skip

ATTENTION = Design("tiny-4x4", "taylorvit", lambda: emit(Accelerator(CONFIG)), _STAGES, _FAULTS)
