"""From a configuration to a board, and from a program to the accelerator on it.

board, checked_table       boards as data, read from `boards/`
families/                  what differs between FPGA families
protocol, link/            what travels between host and board, and its hardware
top                        a whole board: `clock_generator`, `reset_generator`, link, accelerator
flow/                      bitstreams, through Yosys and nextpnr, with their reports and `baselines/`
driver/                    the accelerator on a board, from Python
c/                         the accelerator in a system on a chip, from C
"""
