"""Taylor attention, by ViTALiTy's Algorithm 1."""
