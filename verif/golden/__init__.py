"""Tests of the golden models: against fractions, against each other, and against the fidelity that the contract states."""
