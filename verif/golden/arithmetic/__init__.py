"""Tests of `golden/arithmetic`."""
