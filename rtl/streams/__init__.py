"""AXI4-Stream to buffers, and buffers to AXI4-Stream."""
