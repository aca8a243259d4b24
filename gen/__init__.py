"""The generator: presets, Verilog emission, metadata, register map export and the command line."""
