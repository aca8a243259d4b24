"""Tests of `rtl/array`."""
