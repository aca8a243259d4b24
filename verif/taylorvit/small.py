"""Configurations of small accelerators, as a user would write them."""

__all__ = ["SMALL", "SMALL_OF_THE_DOCUMENTS"]

SMALL = """
extends = "tiny-4x4"
max_tokens = 16
max_head_dim = 8
max_heads = 2
"""

#: small.toml of docs/fpga.md.
SMALL_OF_THE_DOCUMENTS = """
extends = "tiny-4x4"
max_head_dim = 32
max_heads = 2
"""
