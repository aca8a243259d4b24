"""From a board and a configuration to a bitstream, its report and its floorplan."""
