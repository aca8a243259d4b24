"""Tests of `fpga/families/gowin`."""
