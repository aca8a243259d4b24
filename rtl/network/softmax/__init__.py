"""Softmax attention in the network accelerator, behind the seam `rtl.network.kernel`."""
