"""What every block uses: blocks themselves, control bundles, memories, resets."""
