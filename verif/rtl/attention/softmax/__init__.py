"""Tests of `rtl/attention/softmax`."""
