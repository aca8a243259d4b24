"""The arithmetic that all integer models share: formats, rounding, scales."""
