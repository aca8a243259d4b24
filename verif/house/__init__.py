"""Tests of the house: its floors, its packages, its documents."""
