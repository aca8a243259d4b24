"""Tests of `golden/workloads`."""
