"""Faults planted in the generated Verilog, to show that the regression can fail: `python -m verif.tools.mutants`.

A regression that passes says little unless it would have failed on a wrong design. Each fault here is a single edit
of the generated text, of the kind that people make: a wrong sign, a missing bit, an off-by-one, a reset that was
forgotten. A compact part of the regression runs on each; a fault that survives is a hole in the regression.

A fault names its module and a regular expression, which must match exactly once there: when the generated text
changes, a fault that no longer applies is an error and not a fault that nobody planted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from taylorvit.boundary import programs
from taylorvit.boundary.command import whole_number
from taylorvit.gen.verilog import emit
from taylorvit.rtl.accelerator import Accelerator
from taylorvit.simulation import SimulationError, build, run
from verif.regression.configurations import CONFIGURATIONS

__all__ = ["FAULTS", "STAGES", "Fault", "Stage", "first_failure", "main", "plant"]

CONFIGURATION = "tiny-4x4"


@dataclass(frozen=True)
class Fault:
    """One wrong edit: in `module`, what `pattern` matches becomes `replacement` (with groups as in `re.sub`)."""

    name: str
    module: str
    pattern: str
    replacement: str


@dataclass(frozen=True)
class Stage:
    """One bench of the regression of the whole accelerator."""

    name: str
    test_module: str
    testcase: str
    parameters: dict


# Ordered by what finds most in the least time; a fault meets them in turn until one fails.
STAGES = (
    Stage(
        "sizes",
        "verif.regression.test_sizes",
        "jobs_equal_golden",
        {"shapes": [(3, 7, 5), (3, 16, 16), (2, 13, 4), (2, 1, 3), (2, 64, 15), (6, 13, 4)]},
    ),
    Stage("limits", "verif.regression.test_extremes", "operands_and_constants_at_their_limits", {}),
    Stage("back-pressure", "verif.regression.test_streams", "idle_and_back_pressure", {}),
    Stage("late streams", "verif.regression.test_streams", "one_stream_early_or_late", {}),
    Stage("damaged packets", "verif.regression.test_errors", "many_damaged_packets", {}),
    Stage("silent source", "verif.regression.test_errors", "source_stops", {}),
    Stage("register errors", "verif.regression.test_errors", "register_values_out_of_range", {}),
    Stage("resets", "verif.regression.test_resets", "soft_reset", {}),
)

FAULTS = (
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


def plant(verilog: str, fault: Fault) -> str:
    """The text with the fault in it.

    Raises `ValueError` unless the module is there once and the pattern matches once in it, changing it.
    """
    bodies = list(re.finditer(rf"^module {re.escape(fault.module)}\b.*?^endmodule$", verilog, re.MULTILINE | re.DOTALL))
    if len(bodies) != 1:
        raise ValueError(f"{fault.name}: module must be in the Verilog once, not {len(bodies)} times: {fault.module!r}")
    body = bodies[0]
    mutated, count = re.subn(fault.pattern, fault.replacement, body.group())
    if count != 1 or mutated == body.group():
        rule = f"pattern must match once in {fault.module}, and change it"
        raise ValueError(f"{fault.name}: {rule}, not {count} times: {fault.pattern!r}")
    return verilog[: body.start()] + mutated + verilog[body.end() :]


def first_failure(verilog: str) -> str | None:
    """Runs the stages on a design; the name of the first that fails, or None.

    Raises `ToolError` if the Verilog cannot be built: such a fault would show nothing.
    """
    simulation = build(verilog, "taylorvit", simulator="verilator", waves=False)
    for stage in STAGES:
        parameters = {"config": CONFIGURATIONS[CONFIGURATION].to_mapping(), **stage.parameters}
        try:
            run(simulation, stage.test_module, testcase=stage.testcase, parameters=parameters)
        except SimulationError:
            return stage.name
    return None


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if the design passes and every fault is caught, 1 if not, 2 if a fault could not be planted."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.mutants", description="Faults planted in the generated Verilog."
    )
    parser.add_argument("-j", "--jobs", type=whole_number(1), default=os.cpu_count(), help="faults at once")
    parser.add_argument("-k", "--only", default="", help="only faults whose name or module contains this")
    options = parser.parse_args(arguments)
    console, errors = Console(width=120), Console(stderr=True)
    faults = [fault for fault in FAULTS if options.only in f"{fault.name} {fault.module}"]
    if not faults:
        message = f"faults must have a name or module that contains the word given, not {options.only!r}"
        errors.print(message, markup=False, soft_wrap=True)
        return 2
    verilog = emit(Accelerator(CONFIGURATIONS[CONFIGURATION]))
    try:
        designs = [plant(verilog, fault) for fault in faults]
    except ValueError as error:
        errors.print(f"cannot plant {error}", markup=False, soft_wrap=True)
        return 2

    begin = time.monotonic()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # The runs tell on stdout which bench they run; here only the table is wanted.
    with Progress(*columns, console=errors) as progress, contextlib.redirect_stdout(open(os.devnull, "w")):
        task = progress.add_task("the design itself", total=1 + len(faults))
        failed_by_design = first_failure(verilog)
        progress.update(task, advance=1, description="faults")
        if failed_by_design is None:

            def catch(design):
                stage = first_failure(design)
                progress.update(task, advance=1)
                return stage

            caught = programs.at_once(catch, designs, jobs=options.jobs)
    if failed_by_design is not None:
        message = f"the design without a fault must pass, but {failed_by_design} failed"
        errors.print(message, markup=False, soft_wrap=True)
        return 1

    table = Table(title=f"Faults planted in {CONFIGURATION}, and what caught them")
    for heading in ("fault", "module", "caught by"):
        table.add_column(heading)
    for fault, stage in zip(faults, caught):
        table.add_row(fault.name, fault.module, stage or "[bold red]nothing[/]")
    console.print(table)
    survivors = caught.count(None)
    console.print(f"{len(faults) - survivors} of {len(faults)} faults caught, {time.monotonic() - begin:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
