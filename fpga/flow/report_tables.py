"""Reports of builds as tables for a console."""

from rich.table import Table

from taylorvit.fpga.families import RESOURCES

__all__ = ["report_table", "summary_table"]


def report_table(report):
    """The report of one build.

    Args:
        report (dict): the report, as `fpga.flow.report.read_report` returns it.

    Returns:
        tuple[Table, list[str]]: a table of the resources, and lines about clocks, critical path and times.
    """
    resources = Table(title=f"{report['title']}, {report['config']['name']}")
    for heading in ("block", *RESOURCES.values()):
        resources.add_column(heading, justify="left" if heading == "block" else "right")
    for name, block in report["blocks"].items():
        resources.add_row(name, *(f"{block[kind]:,}" for kind in RESOURCES))
    resources.add_section()
    used, available = (
        {kind: report["resources"][kind][column] for kind in RESOURCES} for column in ("used", "available")
    )
    resources.add_row("all", *(f"{used[kind]:,}" for kind in RESOURCES))
    resources.add_row("device", *(f"{available[kind]:,}" for kind in RESOURCES))
    shares = (f"{used[kind] / available[kind]:.0%}" if available[kind] else "" for kind in RESOURCES)
    resources.add_row("share", *shares)

    lines = []
    for name, clock in report["clocks"].items():
        verdict = "met" if clock["fmax_mhz"] >= clock["constraint_mhz"] else "NOT MET"
        lines.append(f"clock {name}: {clock['fmax_mhz']:.1f} MHz, {clock['constraint_mhz']:.1f} MHz wanted: {verdict}")
    path = report["critical_path"]
    if path:
        hops = " -> ".join(hop["instance"] for hop in path["hops"])
        lines.append(f"critical path, {path['delay_ns']:.2f} ns: {hops}")
    seconds = report["seconds"]
    lines.append("seconds: " + ", ".join(f"{name.replace('_', ' ')} {value:.0f}" for name, value in seconds.items()))
    return resources, [*lines, *report["notes"]]


def summary_table(reports):
    """The reports of several builds, a row each.

    Args:
        reports (Iterable[dict]): the reports.

    Returns:
        Table: the table.
    """
    table = Table(title="Bitstreams")
    for heading in ("board", "preset", "PEs", "core clock", "Fmax", *RESOURCES.values(), "seconds"):
        table.add_column(heading, justify="left" if heading in ("board", "preset") else "right")
    for report in reports:
        table.add_row(*_summary_row(report))
    return table


def _summary_row(report):
    config, resources = report["config"], report["resources"]
    fmax = min((clock["fmax_mhz"] for clock in report["clocks"].values()), default=0.0)
    return (
        report["board"],
        config["name"],
        f"{config['rows']} x {config['columns']} + {config['rows']}",
        f"{report['core_clock_mhz']:.4g} MHz",
        f"{fmax:.1f} MHz",
        *(f"{each['used']:,} ({each['used'] / max(1, each['available']):.0%})" for each in resources.values()),
        f"{sum(report['seconds'].values()):.0f}",
    )
