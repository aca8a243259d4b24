"""Faults planted in the generated Verilog, to show that the regression can fail: `python -m verif.tools.mutants`.

A regression that passes says little unless it would have failed on a wrong design. Each fault is a single edit of the
generated text, of the kind that people make. A compact part of the regression, or the unit test of a block, runs on
each; a fault that survives is a hole in the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from taylorvit.boundary import programs
from taylorvit.boundary.command import whole_number

from .attention_faults import ATTENTION
from .link_faults import LINK
from .network_faults import NETWORK
from .planting import Design, Fault
from .sdram_faults import SDRAM
from .softmax_faults import SOFTMAX

__all__ = ["DESIGNS", "main"]

DESIGNS = (ATTENTION, SOFTMAX, *NETWORK, *LINK, *SDRAM)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 if the designs pass and every fault is caught, 1 if not, 2 if a fault could not be planted."""
    parser = argparse.ArgumentParser(
        prog="python -m verif.tools.mutants", description="Faults planted in the generated Verilog."
    )
    parser.add_argument("-j", "--jobs", type=whole_number(1), default=os.cpu_count(), help="faults at once")
    parser.add_argument(
        "-k", "--only", default="", help="only faults whose name or module, or whose design's name, contains this"
    )
    options = parser.parse_args(arguments)
    console, errors = Console(width=120), Console(stderr=True)
    chosen = [
        (design, fault)
        for design in DESIGNS
        for fault in design.faults
        if options.only in f"{fault.name} {fault.module} {design.name}"
    ]
    if not chosen:
        message = f"faults must have a name, module or design that contains the word given, not {options.only!r}"
        errors.print(message, markup=False, soft_wrap=True)
        return 2
    verilog = {design: design.verilog() for design in dict.fromkeys(design for design, _fault in chosen)}
    try:
        mutants = [(design, fault.plant(verilog[design])) for design, fault in chosen]
    except ValueError as error:
        errors.print(f"cannot plant {error}", markup=False, soft_wrap=True)
        return 2

    begin = time.monotonic()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # The runs tell on stdout which bench they run; here only the table is wanted.
    with Progress(*columns, console=errors) as progress, contextlib.redirect_stdout(open(os.devnull, "w")):
        task = progress.add_task("the designs themselves", total=len(verilog) + len(mutants))

        def first_failure(each: tuple[Design, str]) -> str | None:
            design, text = each
            stage = design.first_failure(text)
            progress.update(task, advance=1)
            return stage

        of_designs = programs.at_once(first_failure, verilog.items(), jobs=options.jobs)
        failed = {design: stage for design, stage in zip(verilog, of_designs) if stage is not None}
        if not failed:
            progress.update(task, description="faults")
            caught = programs.at_once(first_failure, mutants, jobs=options.jobs)
    for design, stage in failed.items():
        message = f"the design without a fault must pass, but {stage} failed: {design.name}"
        errors.print(message, markup=False, soft_wrap=True)
    if failed:
        return 1
    return _show(console, chosen, caught, time.monotonic() - begin)


def _show(console: Console, chosen: list[tuple[Design, Fault]], caught: list[str | None], seconds: float) -> int:
    table = Table(title="Faults planted in the Verilog, and what caught them")
    for heading in ("fault", "design", "module", "caught by"):
        table.add_column(heading)
    for (design, fault), stage in zip(chosen, caught):
        table.add_row(fault.name, design.name, fault.module, stage or "[bold red]nothing[/]")
    console.print(table)
    survivors = caught.count(None)
    console.print(f"{len(caught) - survivors} of {len(caught)} faults caught, {seconds:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
