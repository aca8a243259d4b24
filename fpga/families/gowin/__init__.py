"""Gowin GW1N and GW2A."""

from .family import GOWIN

__all__ = ["GOWIN"]
