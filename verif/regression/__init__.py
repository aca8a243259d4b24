"""The whole accelerator against the golden model."""
