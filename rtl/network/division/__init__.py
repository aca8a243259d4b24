"""What every kernel of the network accelerator has that divides the totals for KERNEL_1 and sends them back as Z."""
