"""The memory beside the FPGA: an SDR SDRAM, behind ports that the accelerator and the host link have.

Read `sdram` first, where the blocks are joined. `chips` has the chips and what they want of time, `phase` how the clock
at their pins is placed. litedram's controller is `litedram`; what it leaves to its user are `initializer`, the pins
(`fpga.families`, a block for each family), `word_writer`, which writes what the host sends, and `memory_test`.
"""
