"""Verification of the generated Verilog: cocotb benches, the pytest functions that run them, and their tools."""

from pathlib import Path

__all__ = ["ROOT"]

#: The folder of the checkout.
ROOT = Path(__file__).resolve().parents[1]
