"""A user's job: tensors in, integers and registers, a verdict out."""
