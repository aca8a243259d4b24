"""TaylorViT: from one configuration to the Verilog of a Vision Transformer accelerator, and its proof."""
