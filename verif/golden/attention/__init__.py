"""Tests of `golden/attention`."""
