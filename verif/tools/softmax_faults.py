"""Faults in the attention accelerator with softmax attention; those of its other parts are in `attention_faults`."""

from __future__ import annotations

from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from verif.regression.configurations import CONFIGURATIONS

from .planting import Design, Fault, Stage

__all__ = ["SOFTMAX"]

CONFIG = CONFIGURATIONS["softmax-8x4"]


def _stage(name: str, test_module: str, testcase: str, **parameters) -> Stage:
    return Stage(name, f"verif.regression.{test_module}", testcase, {"config": CONFIG.to_mapping(), **parameters})


_STAGES = (
    _stage("sizes", "test_sizes", "jobs_equal_golden",
           shapes=[(3, 7, 5), (3, 20, 12), (2, 13, 4), (2, 1, 3), (2, 70, 11), (6, 33, 4), (2, 56, 5)]),
    _stage("tables", "test_tables", "table_is_that_of_the_job"),
    _stage("tables and resets", "test_tables", "resets_keep_the_table"),
    _stage("counters", "test_performance", "counters_over_many_sizes"),
    _stage("back-pressure", "test_streams", "idle_and_back_pressure"),
    _stage("late streams", "test_streams", "one_stream_early_or_late"),
    _stage("resets", "test_resets", "soft_reset"),
)  # fmt: skip

_FAULTS = (
    # Exponentials
    Fault("exponents of the wrong sign", "exponential", r"(difference <= )(\{max\S+ max\S+) - (\{score\S+ score\};)",
          r"\1{score[8], score} - {maximum[8], maximum};"),
    Fault("differences beyond the table wrap", "exponential", r"(beyond_1 <= )[^;]*", r"\g<1>1'b0"),
    Fault("Q goes through the table", "exponential", r"(streamed <= )bypass_2", r"\g<1>1'b0"),
    Fault("table of the first row alone", "operand_row", r"(table_write_out__valid <= )table_write_in__valid",
          r"\g<1>1'b0"),
    Fault("table written while a job runs", "control_status",
          r"(\(merged\[15:0\] < 16'd128\) && )!occupied", r"\g<1>1'b1"),
    # Largest scores
    Fault("scores beyond the tokens count", "maximum_step", r"\(chain_in__left != 3'd0\) &&", "1'b1 &&"),
    Fault("smaller score taken", "maximum_step", r"score > chain_in__maximum", "score < chain_in__maximum"),
    Fault("only the last output tile counts", "row_maxima", r"assign either_1 = [^;]*", "assign either_1 = 1'b1"),
    Fault("largest score of the block before kept", "row_maxima", r"(either_1 = )first_1 \|\|", r"\1"),
    Fault("maxima of one half only", "operand_streamer", r"(maximum_address <= \{)streaming__half", r"\g<1>1'b0"),
    Fault("maxima told before they are there", "row_maxima", r"(finish_1 <= )chain__valid && ", r"\1"),
    # Scores
    Fault("score saturation removed", "requantizer", r"\(sum_1\[16:8\] == \{9\{sum_1\[16\]\}\}\)", "(1'b1)"),
    Fault("columns do not take turns", "operand_row", r"(scores__0__valid) && \([^;]*", r"\1"),
    Fault("scores of one half only", "operand_streamer",
          r"(stream_control__accumulate__address <= [^;]*)streaming__half", r"\g<1>1'b0"),
    Fault("half of the scores taken while it is used", "sequencer", r"(both_3 = [^;]*)\(scores_used != 2'd2\)",
          r"\g<1>1'b1"),
    Fault("scores read as soon as they are chosen", "sequencer", r"(both_4 = )some_score_blocks",
          r"\1(scores_used != 2'd0)"),
    # Blocks of queries
    Fault("block longer than its bank", "query_blocks", r"left < 7'd40", "left < 7'd60"),
    Fault("last block forgotten", "query_blocks", r"(last <= left <= 7'd)20", r"\g<1>30"),
    Fault("queries of the first block again", "operand_streamer", r"(token <= )loaded__payload__base", r"\g<1>7'd0"),
    Fault("K released after its first block", "tile_loader",
          r"(load_control__release <= [^;]*) && loaded__payload__head_end", r"\1"),
    Fault("rows beyond the room of the queue", "operand_streamer", r"(queue_has_room <= )[^;]*<=[^;]*", r"\g<1>1'b1"),
    # Array and divisions
    Fault("ones beyond the tokens", "diagonal_column", r"(assign selected_1 = )[^;]*", r"\g<1>1'b1"),
    Fault("feature of the next lane", "array_column", r"(assign product_1 = )load_out__lane", r"\1!load_out__lane"),
    Fault("divisor of the row before", "diagonal_column", r"(divisor_out <= )aligner__aligned", r"\1divisor_out"),
    Fault("Z of a block over the one before", "division_scheduler", r"(if \(found_3\) token <= )query_blocks__base",
          r"\g<1>7'd0"),
)  # fmt: skip

SOFTMAX = Design("softmax-8x4", "taylorvit", lambda: emit(Accelerator(CONFIG)), _STAGES, _FAULTS)
