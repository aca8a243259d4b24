"""Tables of reports: figures of each block, clocks that are met and not, a row for each build."""

from taylorvit.fpga.families import RESOURCES
from taylorvit.fpga.flow.report_tables import report_table, summary_table

from .example_report import example_report


def cells(table):
    """Column by column, the texts of a table."""
    return [list(column.cells) for column in table.columns]


def test_report_as_table_and_lines():
    report = example_report()
    table, lines = report_table(report)
    columns = cells(table)
    assert columns[0] == [*report["blocks"], "all", "device", "share"]
    assert columns[1][-3:] == ["10,000", "83,640", "12%"]
    assert columns[4][-3:] == ["0", "0", ""]  # a device without any
    assert [column.header for column in table.columns] == ["block", *RESOURCES.values()]
    assert lines == [
        "clock core: 112.0 MHz, 110.0 MHz wanted: met",
        "critical path, 8.90 ns: accelerator.column_3 -> accelerator.column_4",
        "seconds: emit 0, synthesize 50, place and route 300",
        "An example.",
    ]


def test_clock_that_is_too_slow_and_no_path():
    slow = {"clocks": {"core": {"fmax_mhz": 10.0, "constraint_mhz": 12.0}}, "critical_path": None}
    assert report_table(example_report(**slow))[1][:2] == [
        "clock core: 10.0 MHz, 12.0 MHz wanted: NOT MET",
        "seconds: emit 0, synthesize 50, place and route 300",
    ]


def test_summary_has_a_row_for_each_build():
    table = summary_table([example_report(), example_report(board="icebreaker", clocks={})])
    assert [row[:2] for row in zip(*cells(table))] == [("ulx3s-85f", "edge-16x8"), ("icebreaker", "edge-16x8")]
    fmax = next(column for column in table.columns if column.header == "Fmax")
    assert list(fmax.cells) == ["112.0 MHz", "0.0 MHz"]
