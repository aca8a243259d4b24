"""From a configuration to a board: the host link, board tops, the build through Yosys and nextpnr, the driver.

Read `protocol` (what travels between host and board), `link/host_link.py` (its hardware) and `top.py` (a whole board).
"""
