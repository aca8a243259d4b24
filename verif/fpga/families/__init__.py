"""Tests of `fpga/families`."""
