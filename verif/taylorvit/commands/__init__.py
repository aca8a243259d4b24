"""Tests of `taylorvit/commands`."""
