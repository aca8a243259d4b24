"""Tests of `golden/reports`."""
