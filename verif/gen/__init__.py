"""The generator: configuration rules, presets, emitted files, register exports and the command line."""
