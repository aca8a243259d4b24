// Models of Gowin cells (GW1N, GW2A), as Yosys maps to them.
//
// Written as those of ECP5 are (ecp5.v); contents of tables are inputs here too (verif/netlist/families.py).

// Look-up tables.
module LUT1 (input wire [1:0] INIT, input wire I0, output wire F);
  assign F = INIT[I0];
endmodule

module LUT2 (input wire [3:0] INIT, input wire I0, I1, output wire F);
  assign F = INIT[{I1, I0}];
endmodule

module LUT3 (input wire [7:0] INIT, input wire I0, I1, I2, output wire F);
  assign F = INIT[{I2, I1, I0}];
endmodule

module LUT4 (input wire [15:0] INIT, input wire I0, I1, I2, I3, output wire F);
  assign F = INIT[{I3, I2, I1, I0}];
endmodule

// Multiplexers that join two look-up tables, two of these, and so on.
module MUX2_LUT5 (input wire I0, I1, S0, output wire O);
  assign O = S0 ? I1 : I0;
endmodule

module MUX2_LUT6 (input wire I0, I1, S0, output wire O);
  assign O = S0 ? I1 : I0;
endmodule

module MUX2_LUT7 (input wire I0, I1, S0, output wire O);
  assign O = S0 ? I1 : I0;
endmodule

module MUX2_LUT8 (input wire I0, I1, S0, output wire O);
  assign O = S0 ? I1 : I0;
endmodule

// One bit of an adder (I3 high) or subtracter.
module ALU #(
  parameter ALU_MODE = 0
) (
  input wire I0, I1, I3, CIN,
  output wire SUM, COUT
);
  generate
    if (ALU_MODE != 2) ALU_has_no_such_ALU_MODE refused();
  endgenerate
  wire passes = I0 ^ I1 ^ !I3;
  assign SUM = passes ^ CIN;
  assign COUT = passes ? CIN : I0;
endmodule

// Registers, by the letters of their names: E with a clock enable; S, R with a synchronous set or reset, which acts whether
// the clock is enabled or not; P, C with an asynchronous one.
module DFF #(parameter [0:0] INIT = 0) (input wire CLK, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK) Q <= D;
endmodule

module DFFE #(parameter [0:0] INIT = 0) (input wire CLK, CE, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK) if (CE) Q <= D;
endmodule

module DFFS #(parameter [0:0] INIT = 1) (input wire CLK, SET, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK) Q <= SET ? 1'b1 : D;
endmodule

module DFFSE #(parameter [0:0] INIT = 1) (input wire CLK, CE, SET, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK) if (SET) Q <= 1; else if (CE) Q <= D;
endmodule

module DFFR #(parameter [0:0] INIT = 0) (input wire CLK, RESET, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK) Q <= RESET ? 1'b0 : D;
endmodule

module DFFRE #(parameter [0:0] INIT = 0) (input wire CLK, CE, RESET, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK) if (RESET) Q <= 0; else if (CE) Q <= D;
endmodule

module DFFP #(parameter [0:0] INIT = 1) (input wire CLK, PRESET, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK, posedge PRESET) if (PRESET) Q <= 1; else Q <= D;
endmodule

module DFFPE #(parameter [0:0] INIT = 1) (input wire CLK, CE, PRESET, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK, posedge PRESET) if (PRESET) Q <= 1; else if (CE) Q <= D;
endmodule

module DFFC #(parameter [0:0] INIT = 0) (input wire CLK, CLEAR, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK, posedge CLEAR) if (CLEAR) Q <= 0; else Q <= D;
endmodule

module DFFCE #(parameter [0:0] INIT = 0) (input wire CLK, CE, CLEAR, D, output reg Q);
  initial Q = INIT;
  always @(posedge CLK, posedge CLEAR) if (CLEAR) Q <= 0; else if (CE) Q <= D;
endmodule

// Distributed memory, 16 words of 4 bits, zero at first: written at the clock, read at any time.
module RAM16SDP4 (
  input wire CLK, WRE,
  input wire [3:0] DI, WAD, RAD,
  output wire [3:0] DO
);
  reg [63:0] words = 64'd0;
  always @(posedge CLK) if (WRE) words[{WAD, 2'b00} +: 4] <= DI;
  assign DO = words[{RAD, 2'b00} +: 4];
endmodule

// Block RAM whose port A writes and port B reads; CEA is the write enable. Bytes of 8 bits, or of 9 (X9).
module SDPB #(
  parameter BIT_WIDTH_0 = 32,
  parameter BIT_WIDTH_1 = 32,
  parameter [0:0] READ_MODE = 0,
  parameter RESET_MODE = "SYNC"  // of the output register's reset, which is not active
) (
  input wire CLKA, CEA, CLKB, CEB, OCE,
  input wire [13:0] ADA, ADB,
  input wire [31:0] DI,
  output wire [31:0] DO
);
  generate
    if (BIT_WIDTH_0 != BIT_WIDTH_1) SDPB_must_have_ports_of_one_width refused();
    if (READ_MODE) SDPB_has_no_such_READ_MODE refused();
  endgenerate
  wire [35:0] read_b;
  block_ram #(.WIDTH(BIT_WIDTH_0)) memory (
    .clock_a(CLKA), .enable_a(CEA), .write(1'b1), .address_a(ADA), .written({4'd0, DI}), .read_a(),
    .clock_b(CLKB), .enable_b(CEB), .address_b(ADB), .read_b(read_b)
  );
  assign DO = read_b[31:0];
endmodule

module SDPX9B #(
  parameter BIT_WIDTH_0 = 36,
  parameter BIT_WIDTH_1 = 36,
  parameter [0:0] READ_MODE = 0,
  parameter RESET_MODE = "SYNC"
) (
  input wire CLKA, CEA, CLKB, CEB, OCE,
  input wire [13:0] ADA, ADB,
  input wire [35:0] DI,
  output wire [35:0] DO
);
  generate
    if (BIT_WIDTH_0 != BIT_WIDTH_1) SDPX9B_must_have_ports_of_one_width refused();
    if (READ_MODE) SDPX9B_has_no_such_READ_MODE refused();
  endgenerate
  block_ram #(.WIDTH(BIT_WIDTH_0)) memory (
    .clock_a(CLKA), .enable_a(CEA), .write(1'b1), .address_a(ADA), .written(DI), .read_a(),
    .clock_b(CLKB), .enable_b(CEB), .address_b(ADB), .read_b(DO)
  );
endmodule

// Block RAM of two ports that could both write; port B only reads here.
module DPB #(
  parameter BIT_WIDTH_0 = 16,
  parameter BIT_WIDTH_1 = 16,
  parameter [0:0] READ_MODE0 = 0,
  parameter [0:0] READ_MODE1 = 0,
  parameter [1:0] WRITE_MODE0 = 0,  // what port A reads while it writes
  parameter [1:0] WRITE_MODE1 = 0,
  parameter RESET_MODE = "SYNC"
) (
  input wire CLKA, CEA, OCEA, WREA, CLKB, CEB, OCEB,
  input wire [13:0] ADA, ADB,
  input wire [15:0] DIA,
  output wire [15:0] DOA, DOB
);
  generate
    if (BIT_WIDTH_0 != BIT_WIDTH_1) DPB_must_have_ports_of_one_width refused();
    if (READ_MODE0 || READ_MODE1) DPB_has_no_such_READ_MODE refused();
    if (WRITE_MODE0 > 2) DPB_has_no_such_WRITE_MODE refused();
  endgenerate
  wire [35:0] read_a, read_b;
  block_ram #(
    .WIDTH(BIT_WIDTH_0), .READS_WHILE_WRITING(WRITE_MODE0 == 0 ? "NOT" : WRITE_MODE0 == 1 ? "NEW" : "OLD")
  ) memory (
    .clock_a(CLKA), .enable_a(CEA), .write(WREA), .address_a(ADA), .written({20'd0, DIA}), .read_a(read_a),
    .clock_b(CLKB), .enable_b(CEB), .address_b(ADB), .read_b(read_b)
  );
  assign DOA = read_a[15:0];
  assign DOB = read_b[15:0];
endmodule

module DPX9B #(
  parameter BIT_WIDTH_0 = 18,
  parameter BIT_WIDTH_1 = 18,
  parameter [0:0] READ_MODE0 = 0,
  parameter [0:0] READ_MODE1 = 0,
  parameter [1:0] WRITE_MODE0 = 0,
  parameter [1:0] WRITE_MODE1 = 0,
  parameter RESET_MODE = "SYNC"
) (
  input wire CLKA, CEA, OCEA, WREA, CLKB, CEB, OCEB,
  input wire [13:0] ADA, ADB,
  input wire [17:0] DIA,
  output wire [17:0] DOA, DOB
);
  generate
    if (BIT_WIDTH_0 != BIT_WIDTH_1) DPX9B_must_have_ports_of_one_width refused();
    if (READ_MODE0 || READ_MODE1) DPX9B_has_no_such_READ_MODE refused();
    if (WRITE_MODE0 > 2) DPX9B_has_no_such_WRITE_MODE refused();
  endgenerate
  wire [35:0] read_a, read_b;
  block_ram #(
    .WIDTH(BIT_WIDTH_0), .READS_WHILE_WRITING(WRITE_MODE0 == 0 ? "NOT" : WRITE_MODE0 == 1 ? "NEW" : "OLD")
  ) memory (
    .clock_a(CLKA), .enable_a(CEA), .write(WREA), .address_a(ADA), .written({18'd0, DIA}), .read_a(read_a),
    .clock_b(CLKB), .enable_b(CEB), .address_b(ADB), .read_b(read_b)
  );
  assign DOA = read_a[17:0];
  assign DOB = read_b[17:0];
endmodule

// Buffers of pins.
module IBUF (input wire I, output wire O);
  assign O = I;
endmodule

module OBUF (input wire I, output wire O);
  assign O = I;
endmodule
