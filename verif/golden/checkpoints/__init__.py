"""Tests of `golden/checkpoints`."""
