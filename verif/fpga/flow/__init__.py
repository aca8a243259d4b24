"""Tests of `fpga/flow`."""
