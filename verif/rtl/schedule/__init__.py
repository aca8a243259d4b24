"""Tests of `rtl/schedule`."""
