"""Faults in the network accelerator: in its engine, in its host side, and in blocks whose faults are seen there first.

The engine computes a few random networks; the host side has the engine's stand-in behind it. What neither of them shows
for certain, since it depends on which event comes first, must be caught by the unit test of the block.
"""

from __future__ import annotations

from types import ModuleType

from taylorvit.gen.verilog import emit
from taylorvit.rtl.network.engine import NetworkEngine
from taylorvit.rtl.network.retirement import RetirementQueue
from taylorvit.simulation.dsp_cells import with_dsp_models
from verif.rtl.harness import SideBySide
from verif.rtl.network import (
    test_column_constants,
    test_engine,
    test_host_side,
    test_image_loader,
    test_logits_sender,
    test_norm_operand,
    test_norm_scheduler,
    test_norm_statistics,
    test_output_stage,
    test_reciprocal_root,
    test_retirement,
    test_shared_norm_lane,
    test_streamer,
    test_tile_loader,
)
from verif.rtl.network.control import test_control_status, test_job_control
from verif.rtl.network.kernel_top import KernelTop
from verif.rtl.network.mixed import test_kernel as test_mixed_kernel
from verif.rtl.network.softmax import test_score_step
from verif.rtl.network.tape import test_axi_source, test_decoder, test_memory_source
from verif.rtl.network.taylor import test_kernel
from verif.taylorvit.compiler.networks import small_config

from .planting import Design, Fault, Stage

__all__ = ["NETWORK"]

ARRAY = (5, 3)
"""Rows and columns: tiles wrap in the banks."""

MLP_TOKENS = 4
"""Tokens of a block of the MLP, fewer than an image has."""

SEEDS = (24, 62, 160, 21)
"""Of networks with several heads and more tokens than rows, small enough; the third has two layers, so that one of them
goes by blocks of tokens; the last one is extreme."""

HOSTS = ("axi", "stream")
"""The host sides that are simulated."""

KERNEL, MIXED_KERNEL = "odd", "coarse"
"""The configurations of the attention kernel alone, of Taylor attention and of both kernels."""

_ENGINE = (
    # Tile loader
    Fault("stale rows of a kernel's tile", "tile_loader", r"(row__blank = .*) >= ", r"\1 > "),
    Fault("tile begins before its rows have come", "tile_loader", r"(tape_read \? tile_and_row_held : )\w+",
          r"\1some_rows_held"),
    Fault("bank does not wrap between output tiles", "tile_loader", r"bank_wraps \? ", "1'b0 ? "),
    Fault("tile of the output before", "tile_loader", r"(if \(both_\d\) stationary_address <= )[^;]*",
          r"\1stationary_column_address"),
    # Streamer
    Fault("prefix one token longer", "streamer", r"(blank <= .*) < streaming__prefix", r"\1 <= streaming__prefix"),
    Fault("last element is no end", "streamer", r"(both_2 = both_1 && )\(sum_1 ==", r"\1(sum_2 =="),
    Fault("key stays in its bank", "streamer", r"(streaming__result__bank <= streaming__result__bank) \+ 3'd1", r"\1"),
    # Norm scheduler
    Fault("LayerNorm's places do not wrap", "norm_scheduler", r"(if \(sent_last_1 && )wraps(\) base)",
          r"\g<1>1'b0\2"),
    Fault("tiles of the residual stream not apart", "norm_scheduler", r"(residual <= residual) \+ [^;]*", r"\1"),
    # Retirement
    Fault("G finished when it began", "retirement_queue", r"== 3'd5\) && some_kernel_0", "== 3'd5)"),
    # Rows
    Fault("blank element streamed", "network_row", r"control_out__blank \? 8'd0 : ", ""),
    Fault("image read in place of activations", "network_row", r"\(control_out__source == 2'd1\) \?", "1'b1 ?"),
    # Columns
    Fault("place does not wrap from column to column", "network_column", r"next_result__address = both_1 \? \S+ : ",
          "next_result__address = "),
    Fault("sign of a logit lost", "network_column", r"(assign logit = )\{\{8\{selected_3\[23\]\}\}", r"\1{8'd0"),
    Fault("constants taken with a tile's end", "network_column", r"result_out__last && result_out__begin",
          "result_out__last && result_out__end"),
    Fault("LayerNorm's output to the place of the column before", "network_column",
          r"(next_norm__destination = )[^;]* \? \S+ : ", r"\1"),
    # Output stage
    Fault("residual stream added to all", "output_stage", r"add_1 \? (\w+) : [^;]*", r"\1"),
    Fault("table's halves exchanged", "output_stage", r"\{!selected_3\[7\],", "{selected_3[7],"),
    Fault("half not added to a feature", "output_requantizer", r" \+ \{32'd0, shifted\[0\]\}", ""),
    # LayerNorm
    Fault("offset added", "norm_lane", r" - (\{\{2\{offset_2)", r" + \1"),
    Fault("factor of another token", "norm_lane", r"factor_1\}", "norm__factor}"),
    Fault("beta's sign lost", "norm_lane", r"\{beta_1\[31\], beta_1\}", "{1'b0, beta_1}"),
    Fault("half not added to a normalized feature", "norm_rounding", r" \+ \{38'd0, shifted\[0\]\}", ""),
    # Sums of the residual stream
    Fault("square of the feature before", "feature_sums", r"value \* value", "value_1 * value_1"),
    Fault("sum without a sign", "feature_sums", r"\{\{5\{value_1\[14\]\}\}, value_1\}", "{5'd0, value_1}"),
    Fault("block of tokens taken for the first one", "network_engine", r"(latest_first_token <= )[^;]*", r"\g<1>5'd0"),
    Fault("last step of normalization left out", "reciprocal_root", r"(shifted_1 <= )empty_1 \? \S+ :", r"\1"),
    # Attention kernel
    Fault("sum of K goes on from the tile before", "kernel_column", r"value_control__begin \? 13'd0 : ", ""),
    Fault("Z's place does not wrap", "kernel_column", r"(side_out__write_back__address <= )equal_1 \? \S+ : ", r"\1"),
    Fault("G rounded by the shift of Z", "kernel_column", r"(\.shift\()side_out__shift_g",
          r"\1side_out__numerator_shift"),
    Fault("means of both heads in one half", "kernel_center", r"(if \(both_\d+\) mean_half <= )!", r"\1"),
    Fault("negative shift of Z taken as none", "kernel_center", r"(divisor_shift <= )4'd7 - [^;]*", r"\g<1>4'd0"),
    Fault("sums of K^ not blanked", "kernel_diagonal", r"blank_1 \? 6'd0 : ", ""),
    Fault("keys turned by one bank", "key_turner", r"valid \? bank : following", "bank"),
    Fault("last features of a tile of keys lost", "kernel_row", r"(feed__begin\) left <= )2'd3", r"\g<1>2'd2"),
    Fault("key not centred", "kernel_row", r"(is_key_1 <= )\(.*\) &&", r"\g<1>1'b0 &&"),
    # Constants
    Fault("embedding's bytes exchanged", "column_constants", r"embedding = collected\[51:40\]",
          "embedding = {collected[43:40], collected[55:48]}"),
)  # fmt: skip

_HOST = (
    Fault("burst over its boundary", "tape_reader_axi", r"(room <= )\w+\[6:0\]", r"\g<1>7'd64"),
    Fault("SLVERR taken as good", "tape_reader_axi", r"m_rresp\[1\]", "m_rresp[0]"),
    Fault("words of an ended job passed on", "tape_reader_axi", r"m_rvalid && !draining", "m_rvalid"),
    Fault("upper half of the length not looked at", "tape_checker_axi", r"\(word != length\[31:16\]\)", "1'b0"),
    Fault("half of the CRC compared", "tape_checker_axi", r"crc_words == (\w+)", r"crc_words[31:16] == \1[31:16]"),
    Fault("CRC of the tape before", "tape_checker_axi", r"(before_1 = first_part_1 \? )32'd4294967295", r"\1state"),
    Fault("a tap of the CRC wrong", "tape_checker_axi", r"before_1 & 32'd66769", "before_1 & 32'd66768"),
    Fault("early TLAST accepted", "tape_checker_stream", r"words__last != ends", "!words__last && ends"),
    Fault("bytes that are only read taken as commands", "tape_checker_axi", r"(in_body = .*) && passes", r"\1"),
    Fault("bytes that are only read must be a tape", "tape_checker_axi", r"(header_1 <= .*) && !only_read", r"\1"),
    Fault("last bytes not in the sum", "tape_checker_axi", r"\(!in_trailer \|\| only_read\)", "!in_trailer"),
    Fault("last bytes taken for a CRC", "tape_checker_axi", r"(crc_error <= .*) && !only_read", r"\1"),
    Fault("image taken by CHECK", "host_side_axi", r"image_loader__start = (\w+) && !\w+",
          r"image_loader__start = \1"),
    Fault("sum of a command not looked at", "tape_decoder_axi", r"\|\| !\(total == 16'd65535\)", ""),
    Fault("END before the CRC", "tape_decoder_axi", r"(offered = \(.*\) \? )some_good_tapes", r"\g<1>1'b1"),
    Fault("table overwritten while it is used", "table_writer_axi", r"active && !blocked", "active"),
    Fault("command lost", "pair_queue_command_axi", r"(valid <= put) \|\| !room", r"\1"),
    Fault("image overwritten", "image_loader_axi", r"(open_ <= \(some_left) && !full", r"\1"),
    Fault("pixels with a sign", "image_loader_axi", r"\{!selected_1\[7\]", "{selected_1[7]"),
    Fault("rest of a long image taken as the next", "image_loader_axi", r"(image_long\) dropping <= )1'b1",
          r"\g<1>1'b0"),
    Fault("logits of the half before", "logits_sender_axi", r"(half_out <= half_out \^ )read_out", r"\g<1>1'b0"),
    Fault("hanging engine waited for", "network_job_control_axi", r"(assign stuck = )[^;]*", r"\g<1>1'b0"),
)  # fmt: skip

_CONTROL_STATUS = (
    Fault("bytes read once for each image", "network_control_status_axi", r"if \(starting && check\)",
          "if (starting && 1'b0)"),
    Fault("job computes nothing, like the one before", "network_control_status_axi", r"(check <= )(merged\[2\])",
          r"\1check || \2"),
)  # fmt: skip

_TAPE_READER = (
    Fault("more bursts than there may be", "tape_reader_word", r"(full <= )\w+ == [^;]*", r"\g<1>1'b0"),
)  # fmt: skip

_TAPE_MEMORY = (
    Fault("word read where the host writes", "tape_memory_pair", r" && !write__valid", ""),
)  # fmt: skip

_DECODER = (
    Fault("command given out before it is taken", "tape_decoder_column", r"command_valid && command_taken",
          "command_valid"),
    Fault("unknown flags accepted", "tape_decoder_byte", r"\(assembled\[31:24\] <= 8'd7\)", "1'b1"),
    Fault("rows told before they are written", "payload_writer_byte", r"(written <= )row_ends_1", r"\1row_ends"),
    Fault("exponentials overwritten while they are used", "exponential_writer_byte", r"active && !blocked", "active"),
    Fault("bytes of an exponential exchanged", "exponential_writer_byte", r"\{held\[2:0\], low\}",
          "{low[2:0], held}"),
    Fault("kernel that is not there accepted", "tape_decoder_byte", r"== (8'd1\)\) \|\| )", r"<= \1"),
    Fault("ring of rows overrun", "payload_writer_byte", r"(room <= )\w+ != 4'd8", r"\g<1>1'b1"),
)  # fmt: skip

_IMAGE_LOADER = (
    Fault("patch does not begin with a beat", "patch_walker_lanes", r"(position__row_last\) group <= )\S+;",
          r"\1group;"),
    Fault("colour a beat further", "raster_walker_lanes", r"(== \S+\)\) colour_step_tile <= )[^;]*", r"\1first_tile"),
    Fault("first patch of a row in every row", "raster_walker_thirds", r"(patch <= )first_patch", r"\1sum_4"),
    Fault("sizes not looked at", "raster_walker_lanes", r"\(rows_beyond == \S+\) &&", ""),
)  # fmt: skip

_LOGITS_SENDER = (
    Fault("logits of an ended job leave", "logits_sender_ten", r"image_done && !ending", "image_done"),
    Fault("room for logits too long", "logits_sender_ten", r"(logits_room <= \w+ != )2'd2", r"\g<1>2'd3"),
)  # fmt: skip

_JOB_CONTROL = (
    Fault("job ends before its last packet", "network_job_control_default", r"all_sent && inputs_idle", "all_sent"),
    Fault("silence counted while pixels move", "network_job_control_default", r" \|\| image_moving", ""),
)  # fmt: skip

_COLUMN_CONSTANTS = (
    Fault("constants take effect at once", "column_constants_default",
          r"(if \()take(\) constants__bias <= )bias_waiting", r"\1both_1\2collected[23:0]"),
)  # fmt: skip

_KERNEL = (
    Fault("queue of rows does not wrap", "kernel_diagonal", r"\(queue_place == \S+ \? \S+ : ", ""),
    Fault("row without a divisor divided", "kernel_diagonal", r"(side_out__invalid <= )adder__invalid", r"\g<1>1'b0"),
)  # fmt: skip

_MIXED = (
    # Of softmax attention
    Fault("scores of a tile beside another one too far", "score_places", r"(next_excess <= )wraps \? (\w+) : \w+",
          r"\1\2"),
    Fault("scores beyond the last token", "score_places", r"(placed__chain__left <= )\(.*\) \? ", r"\g<1>1'b1 ? "),
    Fault("maxima of two blocks in one half", "score_places", r"(result__finish\) half <= )!half", r"\1half"),
    Fault("garbage larger than all scores", "maximum_step", r"\(chain_in__left != \S+\) &&", "1'b1 &&"),
    Fault("score's place does not wrap", "score_step", r"(control_out__address <= )\(.*\) \? \S+ : ", r"\1"),
    Fault("maximum of the tile before forgotten", "row_maxima", r"(result__write_data = )\w+ \? (\w+) : [^;]*",
          r"\1\2"),
    Fault("key goes to a column that is not there", "key_turner", r"(following <= )fold \? \w+ : ", r"\1"),
    Fault("turned key taken from the other side", "key_turner", r"(turned_0_3 = )\(fold && [^;]*\) \? [^;]* : ", r"\1"),
    Fault("tiles of keys not apart", "kernel_center", r"(key_offset <= key_offset) \+ [^;]*", r"\1"),
    Fault("rows of a short block kept from the queue", "kernel_center", r"(rows_unused <= )both_\d+ \? \w+ : [^;]*",
          r"\g<1>5'd0"),
    Fault("maximum of the other block", "kernel_center", r"(stream__result__finish\) score_half <= )!", r"\1"),
    Fault("exponential of a score that is centred", "kernel_row", r"(is_score_1 <= is_kernel_\d) && side_in__softmax",
          r"\1"),
    # Of Taylor attention beside it
    Fault("bias added to softmax", "kernel_column", r"(adder__bias = )side_in__softmax \? \S+ : ", r"\1"),
    Fault("constant added to softmax's divisor", "kernel_diagonal", r"(adder__c_d = )side_in__softmax \? \S+ : ",
          r"\1"),
    Fault("sums of softmax's keys taken for means", "kernel_center", r"(sums_end_1 <= \w+) && !kernel", r"\1"),
    Fault("blocks of queries taken as heads", "kernel_center", r"(bias_unit__released = \w+) && !kernel", r"\1"),
)  # fmt: skip

_SCORE_STEP = (
    Fault("score behind the last token written", "score_step_odd", r" && \(control_in__chain__left != \S+\)", ""),
)  # fmt: skip

_TILE_LOADER = (
    Fault("constants overwritten before they are used", "tile_loader_array_5x3", r"(assign inverse_1 = )[^;]*",
          r"\g<1>1'b1"),
    Fault("kernel's tile before it is there", "tile_loader_array_5x3", r"tile_held : may_begin", "tile_held : 1'b1"),
    Fault("END where there is no room", "tile_loader_array_5x3",
          r"(assign ended = .*) && retirement_room", r"\1"),
)  # fmt: skip

_NORM_SCHEDULER = (
    Fault("LayerNorm before its products", "norm_scheduler_array_5x3", r"waiting && \(product_number == finished\)",
          "waiting"),
    Fault("tokens too close for a shared lane", "norm_scheduler_array_5x3_1", r"(else if \(issue\) token_left <= )2'd2",
          r"\g<1>2'd1"),
)  # fmt: skip

_SHARED_LANE = (
    Fault("place of the column before", "shared_norm_lane_one_lane", r"(token_bank <= )lane_out__bank",
          r"\1token_bank"),
    Fault("token lost before the last column's turn", "shared_norm_lane_one_lane",
          r"if \(lane_in__valid\) (lane_out__offset <=)", r"\1"),
    Fault("activation to two columns", "shared_norm_lane_one_lane",
          r"(activations__2__valid <= )activations__1__valid", r"\1activations__0__valid"),
    Fault("operands of a column left out", "shared_norm_lane_one_lane",
          r" \| \{operands__2__beta, operands__2__gamma\}", ""),
)  # fmt: skip

_NORM_OPERAND = (
    Fault("feature of another column's turn", "norm_operand_one_lane", r"reads_2 \? feature : 8'd0", "feature"),
    Fault("gamma of another column's turn", "norm_operand_one_lane", r"scales_3 \? (\w+) : 48'd0", r"\1"),
)  # fmt: skip

_STATISTICS = (
    Fault("epsilon left out", "norm_statistics_default", r"(variance <= difference) \+ [^;]*", r"\1"),
    Fault("block of tokens begins anew", "norm_statistics_odd", r"(restart_1 <= .*) && \(first_token == 5'd0\)", r"\1"),
    Fault("roots that are out of date", "norm_statistics_odd", r"\.cancel\(restart_2\)", ".cancel(1'b0)"),
    Fault("block of tokens adds to the first ones", "norm_statistics_default", r"result__index \+ first_token",
          "result__index"),
    Fault("sums that are out of date", "norm_statistics_odd", r"(assign issue = .*) && !stale", r"\1"),
)  # fmt: skip

_ROOT = (
    Fault("wrong way from a bit on", "reciprocal_root_interval_1", r"(scaled_7\} \^ \{46\{)!bit_7", r"\1bit_7"),
)  # fmt: skip

_OUTPUT_STAGE = (
    Fault("branch not shifted", "output_stage_default", r" << branch_shift_1", ""),
)  # fmt: skip

_RETIREMENT = (
    Fault("pulse of a product forgotten", "retirement_queue", r"(some_linear <= )linear_done \|\| \w+",
          r"\1linear_done"),
)  # fmt: skip

_STREAMER = (
    Fault("unfinished product not waited for", "streamer_array_5x3",
          r"(assign lacks_products = )[^;]*", r"\g<1>1'b0"),
    Fault("LayerNorm not waited for", "streamer_array_5x3", r"(assign lacks_norm = )[^;]*", r"\g<1>1'b0"),
    Fault("kernel's room not looked at", "streamer_array_5x3", r"\(kernel_room && !promised_1\)", "(!promised_1)"),
    Fault("rows that were just promised forgotten", "streamer_array_5x3", r"kernel_room && !promised_1", "kernel_room"),
    Fault("residual stream idle too early", "streamer_array_5x3", r"(if \(both_4\) drain_left <= \d+'d)\d+", r"\g<1>8"),
    Fault("image not waited for", "streamer_array_5x3", r"&& !image_ready", "&& 1'b0"),
)  # fmt: skip


def _unit(tests: ModuleType, faults: tuple[Fault, ...], *testcases: str) -> Design:
    """A block in all sizes that its unit test has; the module of a size ends with its name."""
    stages = tuple(_stage(tests, case) for case in testcases)
    name = tests.__name__.rpartition(".test_")[2].replace("_", " ")
    return Design(
        name,
        SideBySide.module_name,
        lambda: with_dsp_models(emit(SideBySide(tests.blocks()))),
        stages,
        faults,
        optimized=False,
    )


def _stage(tests: ModuleType, testcase: str, **parameters) -> Stage:
    return Stage(testcase.replace("_", " "), tests.__name__, testcase, parameters)


NETWORK = (
    Design(
        "engine", NetworkEngine.module_name, lambda: emit(NetworkEngine(small_config(*ARRAY, mlp_tokens=MLP_TOKENS))),
        (_stage(test_engine, "networks_give_the_logits_of_the_integer_model", array=ARRAY,
                fields={"mlp_tokens": MLP_TOKENS}, seeds=SEEDS),), _ENGINE, optimized=False,
    ),
    Design(
        "attention kernel", KernelTop.module_name, lambda: emit(KernelTop(test_kernel.config_of(KERNEL))),
        (_stage(test_kernel, "layers_equal_the_model", name=KERNEL),), _KERNEL, optimized=False,
    ),
    Design(
        "both attention kernels", KernelTop.module_name,
        lambda: emit(KernelTop(test_mixed_kernel.config_of(MIXED_KERNEL))),
        (_stage(test_mixed_kernel, "layers_equal_the_model", name=MIXED_KERNEL),), _MIXED, optimized=False,
    ),
    Design(
        "host side", SideBySide.module_name, lambda: emit(SideBySide(test_host_side.blocks(HOSTS))),
        tuple(_stage(test_host_side, testcase, names=HOSTS) for testcase in (
            "jobs_in_good_order", "damaged_tapes", "faults_of_the_images", "faults_of_the_tape_stream",
            "images_back_to_back", "faults_of_the_memory", "an_engine_that_hangs", "soft_resets",
            "tapes_that_are_only_read",
        )),
        _HOST, optimized=False,
    ),
    Design(
        "retirement", RetirementQueue.module_name, lambda: emit(RetirementQueue()),
        (_stage(test_retirement, "products_finish_in_their_order"),), _RETIREMENT, optimized=False,
    ),
    _unit(test_score_step, _SCORE_STEP, "scores_are_written_and_handed_on"),
    _unit(test_tile_loader, _TILE_LOADER, "every_row_and_pass_in_order_and_none_too_early",
          "constants_wait_for_those_before"),
    _unit(test_streamer, _STREAMER, "every_element_and_every_wait"),
    _unit(test_norm_scheduler, _NORM_SCHEDULER, "every_token_in_order_and_none_too_early"),
    _unit(test_shared_norm_lane, _SHARED_LANE, "layer_norms_equal_golden"),
    _unit(test_norm_operand, _NORM_OPERAND, "operands_in_their_own_cycles"),
    _unit(test_norm_statistics, _STATISTICS, "tokens_are_prepared"),
    _unit(test_reciprocal_root, _ROOT, "roots_equal_golden"),
    _unit(test_column_constants, _COLUMN_CONSTANTS, "bytes_become_constants"),
    _unit(test_output_stage, _OUTPUT_STAGE, "totals_become_what_they_must"),
    _unit(test_control_status, _CONTROL_STATUS, "a_check_is_a_job_of_one_tape"),
    _unit(test_axi_source, _TAPE_READER, "tapes_of_every_length_and_place", "a_word_a_cycle"),
    _unit(test_memory_source, _TAPE_MEMORY, "tapes_come_out", "host_writes_while_a_job_runs"),
    _unit(test_decoder, _DECODER, "tapes_come_apart", "wrong_commands_are_refused"),
    _unit(test_image_loader, _IMAGE_LOADER, "images_of_every_size", "sizes_that_do_not_fit"),
    _unit(test_logits_sender, _LOGITS_SENDER, "there_is_room_for_two", "an_ended_job_sends_what_was_complete"),
    _unit(test_job_control, _JOB_CONTROL, "jobs_in_good_order", "silent_sources_are_given_up"),
)  # fmt: skip
