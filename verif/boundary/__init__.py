"""Tests of what users give and get: files, limits, errors."""
