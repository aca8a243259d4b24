"""Each block alone, against the golden model or its stated equation."""
