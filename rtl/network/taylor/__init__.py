"""Taylor attention in the network accelerator: ViTALiTy's Algorithm 1 behind the seam `rtl.network.kernel`."""
