"""The hardware: one Amaranth component a file, in rooms by what they do, and the configuration they are built from.

Read in this order: `config` (every size), `accelerator` (what every attention kernel needs), `attention.taylor.kernel`
(how the blocks are joined), `schedule.pass_scheduler` and `attention.division_scheduler` (what runs when), then the
blocks along the data: `streams.stream_loader`, `attention.taylor.operand_row`, `array.systolic_array`,
`attention.taylor.array_column`, `attention.divider_lane`, `streams.stream_sender`.
"""

__version__ = "0.1.0"
