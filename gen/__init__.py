"""The generator: presets, Verilog emission, metadata and register map export."""
