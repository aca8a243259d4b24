"""What distinguishes one attention from another: what happens to rows before the array, to columns after it."""
