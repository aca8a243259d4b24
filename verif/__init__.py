"""Verification of the generated Verilog: cocotb benches, the pytest functions that run them, and their tools."""
