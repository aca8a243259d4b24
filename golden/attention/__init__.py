"""Attention: in floating point, as it trains, and in the integers of the hardware."""
