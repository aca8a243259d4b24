"""The network accelerator: a whole Vision Transformer, pixels in and logits out."""
