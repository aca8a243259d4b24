"""Tests of `taylorvit/simulation`."""
