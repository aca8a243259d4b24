"""Tests of `taylorvit/jobs`."""
