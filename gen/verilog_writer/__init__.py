r"""Verilog for people, from the RTLIL of one module.

A netlist has a wire for every operator. Here expressions are put together again, registers become clocked blocks with
`if` and `case`, and what has a name in the source keeps it:

    $1 = $not \load_first
    $2 = $and \load $1                          always @(posedge clk)
    $3 = process: \tile; switch $2: \tile_in        if (load && !load_first) tile <= tile_in;
    \tile = $dff $3

From the module as a whole to its parts:

    module           the items of the netlist, one after the other, and the text around them
      simplify       before that: operators that need not be written
      netlist        what drives each wire, what uses it, and how much of it
      draft          what is written so far; names
      choices        combinational processes: conditional expressions
      registers      clocked processes: `if`, `case`
      memories       arrays, their contents and ports
        branches     a switch as a chain of conditions
        expressions  operators
          cells      which operators there are
          text       constants, parentheses, layout
          waivers    what a linter is told beside the line
"""

from .module import write_module

__all__ = ["write_module"]
