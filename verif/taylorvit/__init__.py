"""Tests of `taylorvit`."""
