"""Tests of `fpga/families/ecp5`."""
