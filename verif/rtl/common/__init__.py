"""Tests of `rtl/common`."""
