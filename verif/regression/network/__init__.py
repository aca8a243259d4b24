"""The whole network accelerator against the integer model, at its ports."""
