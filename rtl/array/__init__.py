"""The matrix engine: stationary tiles in, streamed operands in, sums out. It knows nothing of attention."""
