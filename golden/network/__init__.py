"""The whole Vision Transformer: in floating point, and in integers."""
