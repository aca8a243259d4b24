"""Tests of `rtl/control`."""
