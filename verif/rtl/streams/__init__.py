"""Tests of `rtl/streams`."""
