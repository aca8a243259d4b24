"""The hardware: one Amaranth component a file, and the frozen configuration they are all built from.

Read in this order: `config` (every size), `accelerator` (how the blocks are joined), `pass_scheduler` and
`division_scheduler` (what runs when), then the blocks along the data: `stream_loader`, `operand_row`,
`systolic_array`, `array_column`, `divider_lane`, `stream_sender`.
"""

__version__ = "0.1.0"
