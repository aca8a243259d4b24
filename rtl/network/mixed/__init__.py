"""Taylor and softmax attention in one network accelerator: the tape chooses by layer."""
