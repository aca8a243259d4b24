"""Tests of `fpga/driver`."""
