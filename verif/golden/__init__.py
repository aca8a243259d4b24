"""Tests of the golden models: against fractions, against each other, and of the fidelity that they keep."""
