"""What all blocks use: the block itself, buses and bundles, pipeline registers, counters, memories, resets."""
