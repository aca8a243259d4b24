// Models of iCE40 cells, as Yosys maps to them and as nextpnr leaves them after routing.
//
// Written as those of ECP5 are (ecp5.v); free pins and contents of tables are resolved in verif/netlist/families.py.

// Look-up table.
module SB_LUT4 (
  input wire [15:0] LUT_INIT,
  input wire I0, I1, I2, I3,
  output wire O
);
  assign O = LUT_INIT[{I3, I2, I1, I0}];
endmodule

// One bit of a carry chain.
module SB_CARRY (
  input wire I0, I1, CI,
  output wire CO
);
  assign CO = I0 && I1 || (I0 || I1) && CI;
endmodule

// Registers, zero at first, by the letters of their names: E with a clock enable, SR and SS with a synchronous reset to 0
// or to 1, which only acts when the clock is enabled, R and S with an asynchronous one.
module SB_DFF (input wire C, D, output reg Q);
  initial Q = 0;
  always @(posedge C) Q <= D;
endmodule

module SB_DFFE (input wire C, E, D, output reg Q);
  initial Q = 0;
  always @(posedge C) if (E) Q <= D;
endmodule

module SB_DFFSR (input wire C, R, D, output reg Q);
  initial Q = 0;
  always @(posedge C) Q <= R ? 1'b0 : D;
endmodule

module SB_DFFSS (input wire C, S, D, output reg Q);
  initial Q = 0;
  always @(posedge C) Q <= S ? 1'b1 : D;
endmodule

module SB_DFFESR (input wire C, E, R, D, output reg Q);
  initial Q = 0;
  always @(posedge C) if (E) Q <= R ? 1'b0 : D;
endmodule

module SB_DFFESS (input wire C, E, S, D, output reg Q);
  initial Q = 0;
  always @(posedge C) if (E) Q <= S ? 1'b1 : D;
endmodule

module SB_DFFR (input wire C, R, D, output reg Q);
  initial Q = 0;
  always @(posedge C, posedge R) if (R) Q <= 0; else Q <= D;
endmodule

module SB_DFFS (input wire C, S, D, output reg Q);
  initial Q = 0;
  always @(posedge C, posedge S) if (S) Q <= 1; else Q <= D;
endmodule

module SB_DFFER (input wire C, E, R, D, output reg Q);
  initial Q = 0;
  always @(posedge C, posedge R) if (R) Q <= 0; else if (E) Q <= D;
endmodule

module SB_DFFES (input wire C, E, S, D, output reg Q);
  initial Q = 0;
  always @(posedge C, posedge S) if (S) Q <= 1; else if (E) Q <= D;
endmodule

// Logic cell after packing: a look-up table, a bit of a carry chain, and a register behind the table.
module ICESTORM_LC #(
  parameter [0:0] NEG_CLK = 0,
  parameter [0:0] CARRY_ENABLE = 0,
  parameter [0:0] DFF_ENABLE = 0,
  parameter [0:0] SET_NORESET = 0,
  parameter [0:0] ASYNC_SR = 0,
  parameter [0:0] CIN_CONST = 0,
  parameter [0:0] CIN_SET = 0
) (
  input wire [15:0] LUT_INIT,
  input wire I0, I1, I2, I3, CIN, CLK, CEN, SR,
  output wire O, LO, COUT
);
  generate
    if (NEG_CLK) ICESTORM_LC_has_no_such_NEG_CLK refused();
  endgenerate
  assign LO = LUT_INIT[{I3, I2, I1, I0}];
  wire carry_in = CIN_CONST ? CIN_SET : CIN;
  assign COUT = CARRY_ENABLE && (I1 && I2 || (I1 || I2) && carry_in);
  generate
    if (!DFF_ENABLE) begin : table_only
      assign O = LO;
    end else begin : with_register
      reg register = 0;
      assign O = register;
      if (ASYNC_SR) begin : asynchronous
        always @(posedge CLK, posedge SR)
          if (SR) register <= SET_NORESET;
          else if (CEN) register <= LO;
      end else begin : synchronous
        always @(posedge CLK) if (CEN) register <= SR ? SET_NORESET : LO;
      end
    end
  endgenerate
endmodule

// Buffer onto a global net.
module SB_GB (
  input wire USER_SIGNAL_TO_GLOBAL_BUFFER,
  output wire GLOBAL_BUFFER_OUTPUT
);
  assign GLOBAL_BUFFER_OUTPUT = USER_SIGNAL_TO_GLOBAL_BUFFER;
endmodule

// The two forms of SB_IO that are used: an input pin, an output pin, both without registers.
module SB_IO_input (
  input wire PACKAGE_PIN,
  output wire D_IN_0
);
  assign D_IN_0 = PACKAGE_PIN;
endmodule

module SB_IO_output (
  input wire D_OUT_0,
  output wire PACKAGE_PIN
);
  assign PACKAGE_PIN = D_OUT_0;
endmodule

// Block RAM, 256 words of 16 bits, zero at first; one port writes, the other reads.
//
// In MODE m > 0 a word is 2^m words of the RAM: the upper bits of the address choose one bit of each group of 2^m, whose
// data is at one pin. What is read where it is written in the same cycle is unknown: here, what was there before with all
// bits inverted.
module SB_RAM40_4K #(
  parameter [1:0] WRITE_MODE = 0,
  parameter [1:0] READ_MODE = 0
) (
  input wire RCLK, RCLKE, RE, WCLK, WCLKE, WE,
  input wire [10:0] RADDR, WADDR,
  input wire [15:0] WDATA, MASK,
  output wire [15:0] RDATA
);
  generate
    if (WRITE_MODE != READ_MODE) SB_RAM40_4K_must_have_ports_of_one_width refused();
  endgenerate
  localparam GROUP = 1 << WRITE_MODE;
  localparam PIN = WRITE_MODE == 0 ? 0 : GROUP / 2 - 1;  // that of a group's data
  localparam [10:0] USED = (11'd256 << WRITE_MODE) - 11'd1;

  reg [15:0] words [0:255];
  reg [15:0] word = 16'd0;
  reg [2:0] chosen = 3'd0;
  integer index;
  initial for (index = 0; index < 256; index = index + 1) words[index] = 16'd0;

  wire writes = WE && WCLKE;
  wire [2:0] write_choice = WADDR[10:8] & USED[10:8], read_choice = RADDR[10:8] & USED[10:8];
  wire clash = writes && ((WADDR ^ RADDR) & USED) == 0;
  wire [15:0] data, enabled;
  genvar bit_index;
  generate
    for (bit_index = 0; bit_index < 16; bit_index = bit_index + 1) begin : bits
      assign data[bit_index] = WDATA[bit_index / GROUP * GROUP + PIN];
      assign enabled[bit_index] = WRITE_MODE == 0 ? !MASK[bit_index] : bit_index % GROUP == write_choice;
      assign RDATA[bit_index] = bit_index % GROUP == PIN && word[bit_index / GROUP * GROUP + chosen];
    end
  endgenerate
  always @(posedge WCLK) if (writes) words[WADDR[7:0]] <= data & enabled | words[WADDR[7:0]] & ~enabled;
  always @(posedge RCLK)
    if (RE && RCLKE) begin
      word <= words[RADDR[7:0]] ^ {16{clash}};
      chosen <= read_choice;
    end
endmodule
