"""Kinds of memory that a buffer can become (`rtl.common.memory_bank`), for configurations, which need no Amaranth."""

__all__ = ["ONE_PORT_KINDS", "TWO_PORT_KINDS"]

TWO_PORT_KINDS = ("auto", "block", "distributed", "split")
"""Kinds that are read and written in the same cycle."""

ONE_PORT_KINDS = ("huge",)
"""Kinds that are either read or written in a cycle."""
