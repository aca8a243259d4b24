"""Tests of `fpga/families/ice40`."""
