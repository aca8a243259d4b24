"""Tests of `rtl/attention`."""
