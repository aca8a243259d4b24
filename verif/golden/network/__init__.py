"""Tests of `golden/network`."""
