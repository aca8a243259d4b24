"""Files of models: checkpoints of ours, and those that others have published."""
