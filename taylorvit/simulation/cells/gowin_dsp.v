// Models of the Gowin multipliers (GW1N, GW2A), after Gowin's DSP user guide (UG287).
//
// Described are products with any choice of their registers, and the operands that come from a neighbour (SIA, SIB).
// What is not: operands passed on (SOA, SOB). A parameter that asks for it, and a reset mode that there is not,
// instantiate a module that does not exist, so that no simulation is built.

// A register with a clock enable; without USED, the input goes straight through.
module gowin_multiplier_register #(
  parameter WIDTH = 18,
  parameter USED = 0,
  parameter RESET_MODE = "SYNC"
) (
  input wire clock, enable, reset,
  input wire [WIDTH-1:0] d,
  output wire [WIDTH-1:0] q
);
  generate
    if (USED == 0) begin : straight
      assign q = d;
    end else if (USED == 1 && RESET_MODE == "SYNC") begin : synchronous
      reg [WIDTH-1:0] value = 0;
      always @(posedge clock)
        if (reset) value <= 0;
        else if (enable) value <= d;
      assign q = value;
    end else if (USED == 1 && RESET_MODE == "ASYNC") begin : asynchronous
      reg [WIDTH-1:0] value = 0;
      always @(posedge clock or posedge reset)
        if (reset) value <= 0;
        else if (enable) value <= d;
      assign q = value;
    end else gowin_multiplier_has_no_such_register refused();
  endgenerate
endmodule

// Both multipliers: WIDTH is that of an operand.
module gowin_multiplier #(
  parameter WIDTH = 18,
  parameter AREG = 0,
  parameter BREG = 0,
  parameter OUT_REG = 0,
  parameter PIPE_REG = 0,
  parameter ASIGN_REG = 0,
  parameter BSIGN_REG = 0,
  parameter SOA_REG = 0,
  parameter RESET_MODE = "SYNC"
) (
  input wire [WIDTH-1:0] A, B, SIA, SIB,
  input wire ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output wire [2*WIDTH-1:0] DOUT
);
  generate
    if (SOA_REG != 0) gowin_multiplier_has_no_such_SOA_REG refused();
  endgenerate

  wire [WIDTH-1:0] a, b;
  gowin_multiplier_register #(.WIDTH(WIDTH), .USED(AREG), .RESET_MODE(RESET_MODE)) input_a (
    .clock(CLK), .enable(CE), .reset(RESET), .d(ASEL ? SIA : A), .q(a)
  );
  gowin_multiplier_register #(.WIDTH(WIDTH), .USED(BREG), .RESET_MODE(RESET_MODE)) input_b (
    .clock(CLK), .enable(CE), .reset(RESET), .d(BSEL ? SIB : B), .q(b)
  );
  wire a_is_signed, b_is_signed;
  gowin_multiplier_register #(.WIDTH(1), .USED(ASIGN_REG), .RESET_MODE(RESET_MODE)) sign_a (
    .clock(CLK), .enable(CE), .reset(RESET), .d(ASIGN), .q(a_is_signed)
  );
  gowin_multiplier_register #(.WIDTH(1), .USED(BSIGN_REG), .RESET_MODE(RESET_MODE)) sign_b (
    .clock(CLK), .enable(CE), .reset(RESET), .d(BSIGN), .q(b_is_signed)
  );

  wire signed [WIDTH:0] signed_a = {a_is_signed & a[WIDTH-1], a};
  wire signed [WIDTH:0] signed_b = {b_is_signed & b[WIDTH-1], b};
  wire signed [2*WIDTH-1:0] product = signed_a * signed_b;
  wire [2*WIDTH-1:0] pipelined;
  gowin_multiplier_register #(.WIDTH(2*WIDTH), .USED(PIPE_REG), .RESET_MODE(RESET_MODE)) pipeline (
    .clock(CLK), .enable(CE), .reset(RESET), .d(product), .q(pipelined)
  );
  gowin_multiplier_register #(.WIDTH(2*WIDTH), .USED(OUT_REG), .RESET_MODE(RESET_MODE)) out (
    .clock(CLK), .enable(CE), .reset(RESET), .d(pipelined), .q(DOUT)
  );
endmodule

module MULT18X18 #(
  parameter AREG = 1'b0,
  parameter BREG = 1'b0,
  parameter OUT_REG = 1'b0,
  parameter PIPE_REG = 1'b0,
  parameter ASIGN_REG = 1'b0,
  parameter BSIGN_REG = 1'b0,
  parameter SOA_REG = 1'b0,
  parameter MULT_RESET_MODE = "SYNC"
) (
  input wire [17:0] A, B, SIA, SIB,
  input wire ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output wire [35:0] DOUT
);
  gowin_multiplier #(
    .WIDTH(18), .AREG(AREG), .BREG(BREG), .OUT_REG(OUT_REG), .PIPE_REG(PIPE_REG), .ASIGN_REG(ASIGN_REG),
    .BSIGN_REG(BSIGN_REG), .SOA_REG(SOA_REG), .RESET_MODE(MULT_RESET_MODE)
  ) multiplier (
    .A(A), .B(B), .SIA(SIA), .SIB(SIB), .ASIGN(ASIGN), .BSIGN(BSIGN), .ASEL(ASEL), .BSEL(BSEL),
    .CE(CE), .CLK(CLK), .RESET(RESET), .DOUT(DOUT)
  );
endmodule

module MULT9X9 #(
  parameter AREG = 1'b0,
  parameter BREG = 1'b0,
  parameter OUT_REG = 1'b0,
  parameter PIPE_REG = 1'b0,
  parameter ASIGN_REG = 1'b0,
  parameter BSIGN_REG = 1'b0,
  parameter SOA_REG = 1'b0,
  parameter MULT_RESET_MODE = "SYNC"
) (
  input wire [8:0] A, B, SIA, SIB,
  input wire ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output wire [17:0] DOUT
);
  gowin_multiplier #(
    .WIDTH(9), .AREG(AREG), .BREG(BREG), .OUT_REG(OUT_REG), .PIPE_REG(PIPE_REG), .ASIGN_REG(ASIGN_REG),
    .BSIGN_REG(BSIGN_REG), .SOA_REG(SOA_REG), .RESET_MODE(MULT_RESET_MODE)
  ) multiplier (
    .A(A), .B(B), .SIA(SIA), .SIB(SIB), .ASIGN(ASIGN), .BSIGN(BSIGN), .ASEL(ASEL), .BSEL(BSEL),
    .CE(CE), .CLK(CLK), .RESET(RESET), .DOUT(DOUT)
  );
endmodule
