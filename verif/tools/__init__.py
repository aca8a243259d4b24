"""Tests of the tools that run the accelerator for a person: simulate, benchmark, pictures."""
