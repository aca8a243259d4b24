"""The netlists that the FPGA tools make of the Verilog, simulated.

Yosys maps the generated Verilog to the cells of an FPGA family, and nextpnr packs, places and routes these cells.
Each of the two may be wrong where the Verilog is right, so the netlist of each is simulated: with models of the cells
(`cell_models`), by the bench of the accelerator, with the golden model's results, and beside the RTL it came from, of
which it has to equal every port in every cycle.

    Verilog --Yosys--> synthesized netlist --nextpnr--> routed netlist
       |                       |                              |
       '---- pair -----'       '----------- pair -------------'        one Verilator build each, `pair.py`

`netlist` reads what both tools write, `verilog` writes it as Verilog: the most numerous cells as `logic` in place, the
others as instances of their models. `cell_models` has the cells of each family, `flow` runs the tools, and
`python -m verif.netlist` does all of it for a preset.
"""
