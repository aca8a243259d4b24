// Model of the iCE40 UltraPlus multiplier, after Lattice's DSP function usage guide (TN1295).
//
// Described is the product of 16 x 16 bits, with any choice of the registers before and within the multiplication. What
// is not: two products of 8 x 8, the adders behind, and all that only they need (inputs C and D, the output registers,
// carries). A parameter that asks for it instantiates a module that does not exist, so that no simulation is built.

// A register that can hold; without USED, the input goes straight through.
module ice40_multiplier_register #(
  parameter WIDTH = 16,
  parameter USED = 0
) (
  input wire clock, enable, reset,
  input wire [WIDTH-1:0] d,
  output wire [WIDTH-1:0] q
);
  generate
    if (USED == 0) begin : straight
      assign q = d;
    end else begin : registered
      reg [WIDTH-1:0] value = 0;
      always @(posedge clock or posedge reset)
        if (reset) value <= 0;
        else if (enable) value <= d;
      assign q = value;
    end
  endgenerate
endmodule

module SB_MAC16 #(
  parameter [0:0] NEG_TRIGGER = 0,
  parameter [0:0] C_REG = 0,
  parameter [0:0] A_REG = 0,
  parameter [0:0] B_REG = 0,
  parameter [0:0] D_REG = 0,
  parameter [0:0] TOP_8x8_MULT_REG = 0,
  parameter [0:0] BOT_8x8_MULT_REG = 0,
  parameter [0:0] PIPELINE_16x16_MULT_REG1 = 0,
  parameter [0:0] PIPELINE_16x16_MULT_REG2 = 0,
  parameter [1:0] TOPOUTPUT_SELECT = 0,
  parameter [1:0] TOPADDSUB_LOWERINPUT = 0,
  parameter [0:0] TOPADDSUB_UPPERINPUT = 0,
  parameter [1:0] TOPADDSUB_CARRYSELECT = 0,
  parameter [1:0] BOTOUTPUT_SELECT = 0,
  parameter [1:0] BOTADDSUB_LOWERINPUT = 0,
  parameter [0:0] BOTADDSUB_UPPERINPUT = 0,
  parameter [1:0] BOTADDSUB_CARRYSELECT = 0,
  parameter [0:0] MODE_8x8 = 0,
  parameter [0:0] A_SIGNED = 0,
  parameter [0:0] B_SIGNED = 0
) (
  input wire CLK, CE,
  input wire [15:0] A, B, C, D,
  input wire AHOLD, BHOLD, CHOLD, DHOLD, OHOLDTOP, OHOLDBOT,
  input wire IRSTTOP, IRSTBOT, ORSTTOP, ORSTBOT,
  input wire OLOADTOP, OLOADBOT, ADDSUBTOP, ADDSUBBOT, CI, ACCUMCI, SIGNEXTIN,
  output wire [31:0] O
);
  generate
    if (NEG_TRIGGER != 0) SB_MAC16_has_no_such_NEG_TRIGGER refused();
    if (C_REG != 0 || D_REG != 0) SB_MAC16_has_no_such_C_REG_or_D_REG refused();
    if (MODE_8x8 != 0) SB_MAC16_has_no_such_MODE_8x8 refused();
    if (TOPOUTPUT_SELECT != 3 || BOTOUTPUT_SELECT != 3) SB_MAC16_has_no_such_output refused();
    if (TOPADDSUB_LOWERINPUT != 0 || TOPADDSUB_UPPERINPUT != 0 || TOPADDSUB_CARRYSELECT != 0)
      SB_MAC16_has_no_such_TOPADDSUB refused();
    if (BOTADDSUB_LOWERINPUT != 0 || BOTADDSUB_UPPERINPUT != 0 || BOTADDSUB_CARRYSELECT != 0)
      SB_MAC16_has_no_such_BOTADDSUB refused();
    // The four products of 8 x 8 that make one of 16 x 16 have their registers together or not at all.
    if (TOP_8x8_MULT_REG != PIPELINE_16x16_MULT_REG1 || BOT_8x8_MULT_REG != PIPELINE_16x16_MULT_REG1)
      SB_MAC16_has_no_such_8x8_MULT_REG refused();
  endgenerate

  wire [15:0] a, b;
  ice40_multiplier_register #(.WIDTH(16), .USED(A_REG)) input_a (
    .clock(CLK), .enable(CE & !AHOLD), .reset(IRSTTOP), .d(A), .q(a)
  );
  ice40_multiplier_register #(.WIDTH(16), .USED(B_REG)) input_b (
    .clock(CLK), .enable(CE & !BHOLD), .reset(IRSTBOT), .d(B), .q(b)
  );

  // Products of the halves: the upper ones have a sign.
  wire signed [8:0] a_high = {A_SIGNED & a[15], a[15:8]};
  wire signed [8:0] b_high = {B_SIGNED & b[15], b[15:8]};
  wire signed [8:0] a_low = {1'b0, a[7:0]};
  wire signed [8:0] b_low = {1'b0, b[7:0]};
  wire signed [17:0] high_high = a_high * b_high;
  wire signed [17:0] low_high = a_low * b_high;
  wire signed [17:0] high_low = a_high * b_low;
  wire signed [17:0] low_low = a_low * b_low;
  wire signed [17:0] f, j, k, g;
  ice40_multiplier_register #(.WIDTH(36), .USED(PIPELINE_16x16_MULT_REG1)) top (
    .clock(CLK), .enable(CE), .reset(IRSTTOP), .d({high_high, low_high}), .q({f, j})
  );
  ice40_multiplier_register #(.WIDTH(36), .USED(PIPELINE_16x16_MULT_REG1)) bottom (
    .clock(CLK), .enable(CE), .reset(IRSTBOT), .d({high_low, low_low}), .q({k, g})
  );

  wire signed [31:0] product = (f <<< 16) + (j <<< 8) + (k <<< 8) + g;
  ice40_multiplier_register #(.WIDTH(32), .USED(PIPELINE_16x16_MULT_REG2)) register_h (
    .clock(CLK), .enable(CE), .reset(IRSTBOT), .d(product), .q(O)
  );
endmodule
