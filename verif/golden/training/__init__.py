"""Tests of `golden/training`."""
