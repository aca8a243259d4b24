// Models of ECP5 cells, as Yosys maps to them and as nextpnr leaves them after routing.
//
// Written for simulation in two states: what the datasheet calls unknown is a definite wrong value here. A value of a
// parameter that a model does not describe instantiates a module that does not exist, so that no simulation is built.
// Free pins, and the multiplexers that invert pins or tie them, are resolved before (verif/netlist/families.py), and the
// content of a look-up table is an input there, for the simulator to have one model for all of them.

// Look-up table.
module LUT4 (
  input wire [15:0] INIT,
  input wire A, B, C, D,
  output wire Z
);
  assign Z = INIT[{D, C, B, A}];
endmodule

// Multiplexer between the two look-up tables of a slice.
module PFUMX (
  input wire ALUT, BLUT, C0,
  output wire Z
);
  assign Z = C0 ? ALUT : BLUT;
endmodule

// Multiplexer between the multiplexers of two slices.
module L6MUX21 (
  input wire D0, D1, SD,
  output wire Z
);
  assign Z = SD ? D1 : D0;
endmodule

// One bit of a carry chain: the sum of the table's value and the carry, which the table generates or passes on.
module ecp5_carry (
  input wire [15:0] INIT,
  input wire A, B, C, D, carry_in, inject,
  output wire sum, carry_out
);
  // With `inject` the table's value goes out as it is, and its lower half generates no carry.
  wire passes = INIT[{D, C, B, A}];
  wire generates = INIT[{2'b00, B, A}] & !inject;
  assign sum = passes ^ (carry_in & !inject);
  assign carry_out = passes ? carry_in : generates;
endmodule

// Two bits of a carry chain.
module CCU2C #(
  parameter INJECT1_0 = "YES",
  parameter INJECT1_1 = "YES"
) (
  input wire [15:0] INIT0, INIT1,
  input wire CIN, A0, B0, C0, D0, A1, B1, C1, D1,
  output wire S0, S1, COUT
);
  generate
    if (INJECT1_0 != "YES" && INJECT1_0 != "NO") CCU2C_has_no_such_INJECT1_0 refused();
    if (INJECT1_1 != "YES" && INJECT1_1 != "NO") CCU2C_has_no_such_INJECT1_1 refused();
  endgenerate
  wire carry;
  ecp5_carry low (
    .INIT(INIT0), .A(A0), .B(B0), .C(C0), .D(D0), .carry_in(CIN), .inject(INJECT1_0 == "YES"), .sum(S0),
    .carry_out(carry)
  );
  ecp5_carry high (
    .INIT(INIT1), .A(A1), .B(B1), .C(C1), .D(D1), .carry_in(carry), .inject(INJECT1_1 == "YES"), .sum(S1),
    .carry_out(COUT)
  );
endmodule

// Distributed memory, 16 words of 4 bits: written at the clock, read at any time.
module TRELLIS_DPR16X4 #(
  parameter [63:0] INITVAL = 64'h0000000000000000,
  parameter WCKMUX = "WCK",
  parameter WREMUX = "WRE"
) (
  input wire [3:0] DI, WAD, RAD,
  input wire WRE, WCK,
  output wire [3:0] DO
);
  generate
    if (WCKMUX != "WCK") TRELLIS_DPR16X4_has_no_such_WCKMUX refused();
    if (WREMUX != "WRE") TRELLIS_DPR16X4_has_no_such_WREMUX refused();
  endgenerate
  reg [63:0] words = INITVAL;
  always @(posedge WCK) if (WRE) words[{WAD, 2'b00} +: 4] <= DI;
  assign DO = words[{RAD, 2'b00} +: 4];
endmodule

// Half a slice after packing: a look-up table, a bit of a carry chain, or a column of distributed memory; and one of the
// multiplexers PFUMX (between this table, F, and the other one, F1) and L6MUX21 (FXA, FXB).
module TRELLIS_COMB #(
  parameter MODE = "LOGIC",
  parameter CCU2_INJECT1 = "NO",
  parameter WCKMUX = "WCK",
  parameter WREMUX = "WRE",
  parameter MULTIPLEXER = "F"
) (
  input wire [15:0] INITVAL,
  input wire A, B, C, D, M, F1, FXA, FXB, FCI, WD, WAD0, WAD1, WAD2, WAD3, WRE, WCK,
  output wire F, OFX, FCO
);
  generate
    if (MODE == "LOGIC") begin : logic_mode
      assign F = INITVAL[{D, C, B, A}];
      assign FCO = 1'b0;
    end else if (MODE == "CCU2") begin : carry_mode
      if (CCU2_INJECT1 != "YES" && CCU2_INJECT1 != "NO") TRELLIS_COMB_has_no_such_CCU2_INJECT1 refused();
      ecp5_carry carry (
        .INIT(INITVAL), .A(A), .B(B), .C(C), .D(D), .carry_in(FCI), .inject(CCU2_INJECT1 == "YES"), .sum(F),
        .carry_out(FCO)
      );
    end else if (MODE == "DPRAM") begin : memory_mode
      if (WCKMUX != "WCK") TRELLIS_COMB_has_no_such_WCKMUX refused();
      if (WREMUX != "WRE") TRELLIS_COMB_has_no_such_WREMUX refused();
      reg [15:0] words = 16'h0000;
      always @(posedge WCK) if (WRE) words[{WAD3, WAD2, WAD1, WAD0}] <= WD;
      assign F = words[{A, C, B, D}];
      assign FCO = 1'b0;
    end else if (MODE == "RAMW_BLOCK") begin : blocked
      // The half of a slice whose pins the memory's write port occupies.
      assign F = 1'b0;
      assign FCO = 1'b0;
    end else TRELLIS_COMB_has_no_such_MODE refused();

    if (MULTIPLEXER == "F") assign OFX = M ? F1 : F;
    else if (MULTIPLEXER == "FX") assign OFX = M ? FXB : FXA;
    else TRELLIS_COMB_has_no_such_MULTIPLEXER refused();
  endgenerate
endmodule

// Write port of the distributed memory: it takes over the inputs of a slice.
module TRELLIS_RAMW (
  input wire A0, A1, B0, B1, C0, C1, D0, D1,
  output wire WADO0, WADO1, WADO2, WADO3, WDO0, WDO1, WDO2, WDO3
);
  assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
  assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule

// Register. GSR, the reset of the whole device, is not active after configuration.
module TRELLIS_FF #(
  parameter GSR = "ENABLED",
  parameter CEMUX = "1",
  parameter CLKMUX = "CLK",
  parameter LSRMUX = "LSR",
  parameter SRMODE = "LSR_OVER_CE",
  parameter REGSET = "RESET",
  parameter LSRMODE = "LSR"
) (
  input wire CLK, LSR, CE, DI,
  output reg Q
);
  generate
    if (CEMUX != "1" && CEMUX != "CE" && CEMUX != "INV") TRELLIS_FF_has_no_such_CEMUX refused();
    if (CLKMUX != "CLK") TRELLIS_FF_has_no_such_CLKMUX refused();
    if (LSRMUX != "LSR" && LSRMUX != "INV") TRELLIS_FF_has_no_such_LSRMUX refused();
    if (SRMODE != "LSR_OVER_CE" && SRMODE != "ASYNC") TRELLIS_FF_has_no_such_SRMODE refused();
    if (REGSET != "RESET" && REGSET != "SET") TRELLIS_FF_has_no_such_REGSET refused();
    if (LSRMODE != "LSR") TRELLIS_FF_has_no_such_LSRMODE refused();
  endgenerate
  wire enable = CEMUX == "1" || (CEMUX == "INV" ? !CE : CE);
  wire reset = LSRMUX == "INV" ? !LSR : LSR;
  initial Q = REGSET == "SET";
  generate
    if (SRMODE == "ASYNC") begin : asynchronous
      always @(posedge CLK, posedge reset)
        if (reset) Q <= REGSET == "SET";
        else if (enable) Q <= DI;
    end else begin : synchronous
      always @(posedge CLK)
        if (reset) Q <= REGSET == "SET";
        else if (enable) Q <= DI;
    end
  endgenerate
endmodule

// Block RAM of 18 Kbit, zero at first. Port A reads and writes, port B reads. Of 36 bits, the upper half of what is
// written has the pins of port B, and the lower half of what is read those of port A.
//
// In narrow ports, data is at the lowest pins; the lowest bits of the address choose a part of a byte, or (18 and 36
// bits) enable bytes for writing.
module DP16KD #(
  parameter DATA_WIDTH_A = 18,
  parameter DATA_WIDTH_B = 18,
  parameter REGMODE_A = "NOREG",
  parameter REGMODE_B = "NOREG",
  parameter RESETMODE = "SYNC",  // of the output registers' reset, which is not active
  parameter ASYNC_RESET_RELEASE = "SYNC",
  parameter CLKAMUX = "CLKA",
  parameter CLKBMUX = "CLKB",
  parameter CSDECODE_A = "0b000",
  parameter CSDECODE_B = "0b000",
  parameter WRITEMODE_A = "NORMAL",
  parameter WRITEMODE_B = "NORMAL",  // port B does not write
  parameter GSR = "ENABLED"
) (
  input wire CLKA, CEA, OCEA, WEA, CLKB, CEB, OCEB,
  input wire [13:0] ADA, ADB,
  input wire [17:0] DIA, DIB,
  output wire [17:0] DOA, DOB
);
  generate
    if (DATA_WIDTH_A != DATA_WIDTH_B) DP16KD_must_have_ports_of_one_width refused();
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") DP16KD_has_no_such_REGMODE refused();
    if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB") DP16KD_has_no_such_CLKMUX refused();
    if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") DP16KD_has_no_such_CSDECODE refused();
    if (WRITEMODE_A != "NORMAL" && WRITEMODE_A != "READBEFOREWRITE") DP16KD_has_no_such_WRITEMODE refused();
  endgenerate
  wire [35:0] read_a, read_b;
  block_ram #(.WIDTH(DATA_WIDTH_A), .READS_WHILE_WRITING(WRITEMODE_A == "NORMAL" ? "NOT" : "OLD")) memory (
    .clock_a(CLKA), .enable_a(CEA), .write(WEA), .address_a(ADA), .written({DIB, DIA}), .read_a(read_a),
    .clock_b(CLKB), .enable_b(CEB), .address_b(ADB), .read_b(read_b)
  );
  assign DOA = DATA_WIDTH_A == 36 ? read_b[17:0] : read_a[17:0];
  assign DOB = DATA_WIDTH_A == 36 ? read_b[35:18] : read_b[17:0];
endmodule

// Buffer onto a global net.
module DCCA (
  input wire CLKI,
  output wire CLKO
);
  assign CLKO = CLKI;
endmodule

// PLL, without its ratio: it passes its input on.
module EHXPLLL #(
  parameter CLKI_DIV = 1,
  parameter CLKFB_DIV = 1,
  parameter CLKOP_ENABLE = "ENABLED",
  parameter CLKOP_DIV = 8,
  parameter CLKOP_CPHASE = 0,
  parameter CLKOP_FPHASE = 0,
  parameter CLKOS_ENABLE = "DISABLED",
  parameter CLKOS_DIV = 8,
  parameter CLKOS_CPHASE = 0,
  parameter CLKOS_FPHASE = 0,
  parameter FEEDBK_PATH = "CLKOP",
  parameter OUTDIVIDER_MUXA = "DIVA",
  parameter OUTDIVIDER_MUXB = "DIVB",
  parameter DPHASE_SOURCE = "DISABLED",
  parameter PLLRST_ENA = "DISABLED",
  parameter INTFB_WAKE = "DISABLED",
  parameter STDBY_ENABLE = "DISABLED"
) (
  input wire CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP,
  input wire ENCLKOS,
  output wire CLKOP, CLKOS, LOCK
);
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
  assign LOCK = 1'b1;
endmodule

// The two forms of TRELLIS_IO that are used: an input pin, an output pin.
module TRELLIS_IO_input (
  input wire B,
  output wire O
);
  assign O = B;
endmodule

module TRELLIS_IO_output (
  input wire I,
  output wire B
);
  assign B = I;
endmodule
