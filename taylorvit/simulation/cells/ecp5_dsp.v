// Model of the ECP5 multiplier, after Lattice's sysDSP usage guide (TN1267) and its cell library.
//
// Described are products of A and B with any choice of its registers, their clocks, enables and synchronous resets, and
// the operands that come from a neighbour (SRIA, SRIB). What is not: operand C, products passed to an ALU54B (ROA, ROB,
// ROC), operands passed on (SROA, SROB), registers of SIGNEDA and SIGNEDB, which have to be constant, and the global
// reset. A parameter that asks for it instantiates a module that does not exist, so that no simulation is built.

// A register as the parameters choose it: without a clock, the input goes straight through.
module ecp5_multiplier_register #(
  parameter WIDTH = 18,
  parameter CLOCK = "NONE",
  parameter ENABLE = "CE0",
  parameter RESET = "RST0"
) (
  input wire [3:0] clocks, enables, resets,
  input wire [WIDTH-1:0] d,
  output wire [WIDTH-1:0] q
);
  generate
    if (CLOCK == "NONE") begin : straight
      assign q = d;
    end else begin : registered
      wire clock, enable, reset;
      if (CLOCK == "CLK0") assign clock = clocks[0];
      else if (CLOCK == "CLK1") assign clock = clocks[1];
      else if (CLOCK == "CLK2") assign clock = clocks[2];
      else if (CLOCK == "CLK3") assign clock = clocks[3];
      else MULT18X18D_has_no_such_clock refused();
      if (ENABLE == "CE0") assign enable = enables[0];
      else if (ENABLE == "CE1") assign enable = enables[1];
      else if (ENABLE == "CE2") assign enable = enables[2];
      else if (ENABLE == "CE3") assign enable = enables[3];
      else MULT18X18D_has_no_such_enable refused();
      if (RESET == "RST0") assign reset = resets[0];
      else if (RESET == "RST1") assign reset = resets[1];
      else if (RESET == "RST2") assign reset = resets[2];
      else if (RESET == "RST3") assign reset = resets[3];
      else MULT18X18D_has_no_such_reset refused();
      reg [WIDTH-1:0] value = 0;
      always @(posedge clock)
        if (reset) value <= 0;
        else if (enable) value <= d;
      assign q = value;
    end
  endgenerate
endmodule

module MULT18X18D #(
  parameter REG_INPUTA_CLK = "NONE",
  parameter REG_INPUTA_CE = "CE0",
  parameter REG_INPUTA_RST = "RST0",
  parameter REG_INPUTB_CLK = "NONE",
  parameter REG_INPUTB_CE = "CE0",
  parameter REG_INPUTB_RST = "RST0",
  parameter REG_INPUTC_CLK = "NONE",
  parameter REG_INPUTC_CE = "CE0",
  parameter REG_INPUTC_RST = "RST0",
  parameter REG_PIPELINE_CLK = "NONE",
  parameter REG_PIPELINE_CE = "CE0",
  parameter REG_PIPELINE_RST = "RST0",
  parameter REG_OUTPUT_CLK = "NONE",
  parameter REG_OUTPUT_CE = "CE0",
  parameter REG_OUTPUT_RST = "RST0",
  parameter CLK0_DIV = "ENABLED",
  parameter CLK1_DIV = "ENABLED",
  parameter CLK2_DIV = "ENABLED",
  parameter CLK3_DIV = "ENABLED",
  parameter HIGHSPEED_CLK = "NONE",
  parameter GSR = "ENABLED",
  parameter CAS_MATCH_REG = "FALSE",
  parameter SOURCEB_MODE = "B_SHIFT",
  parameter MULT_BYPASS = "DISABLED",
  parameter RESETMODE = "SYNC"
) (
  input wire A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17,
  input wire B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, B17,
  input wire C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14, C15, C16, C17,
  input wire SRIA0, SRIA1, SRIA2, SRIA3, SRIA4, SRIA5, SRIA6, SRIA7, SRIA8, SRIA9, SRIA10, SRIA11, SRIA12,
    SRIA13, SRIA14, SRIA15, SRIA16, SRIA17,
  input wire SRIB0, SRIB1, SRIB2, SRIB3, SRIB4, SRIB5, SRIB6, SRIB7, SRIB8, SRIB9, SRIB10, SRIB11, SRIB12,
    SRIB13, SRIB14, SRIB15, SRIB16, SRIB17,
  input wire CLK0, CLK1, CLK2, CLK3,
  input wire CE0, CE1, CE2, CE3,
  input wire RST0, RST1, RST2, RST3,
  input wire SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
  output wire P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P19,
    P20, P21, P22, P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33, P34, P35
);
  generate
    if (REG_INPUTC_CLK != "NONE") MULT18X18D_has_no_such_REG_INPUTC_CLK refused();
    if (CLK0_DIV != "ENABLED" || CLK1_DIV != "ENABLED" || CLK2_DIV != "ENABLED" || CLK3_DIV != "ENABLED")
      MULT18X18D_has_no_such_CLK_DIV refused();
    if (HIGHSPEED_CLK != "NONE") MULT18X18D_has_no_such_HIGHSPEED_CLK refused();
    if (GSR != "DISABLED") MULT18X18D_has_no_such_GSR refused();
    if (CAS_MATCH_REG != "FALSE") MULT18X18D_has_no_such_CAS_MATCH_REG refused();
    if (SOURCEB_MODE != "B_SHIFT") MULT18X18D_has_no_such_SOURCEB_MODE refused();
    if (MULT_BYPASS != "DISABLED") MULT18X18D_has_no_such_MULT_BYPASS refused();
    if (RESETMODE != "SYNC") MULT18X18D_has_no_such_RESETMODE refused();
  endgenerate

  wire [3:0] clocks = {CLK3, CLK2, CLK1, CLK0};
  wire [3:0] enables = {CE3, CE2, CE1, CE0};
  wire [3:0] resets = {RST3, RST2, RST1, RST0};
  wire [17:0] a = {
    A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
  };
  wire [17:0] b = {
    B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
  };
  wire [17:0] shifted_a = {
    SRIA17, SRIA16, SRIA15, SRIA14, SRIA13, SRIA12, SRIA11, SRIA10, SRIA9, SRIA8, SRIA7, SRIA6,
    SRIA5, SRIA4, SRIA3, SRIA2, SRIA1, SRIA0
  };
  wire [17:0] shifted_b = {
    SRIB17, SRIB16, SRIB15, SRIB14, SRIB13, SRIB12, SRIB11, SRIB10, SRIB9, SRIB8, SRIB7, SRIB6,
    SRIB5, SRIB4, SRIB3, SRIB2, SRIB1, SRIB0
  };

  wire [17:0] left, right;
  ecp5_multiplier_register #(
    .WIDTH(18), .CLOCK(REG_INPUTA_CLK), .ENABLE(REG_INPUTA_CE), .RESET(REG_INPUTA_RST)
  ) input_a (
    .clocks(clocks), .enables(enables), .resets(resets), .d(SOURCEA ? shifted_a : a), .q(left)
  );
  ecp5_multiplier_register #(
    .WIDTH(18), .CLOCK(REG_INPUTB_CLK), .ENABLE(REG_INPUTB_CE), .RESET(REG_INPUTB_RST)
  ) input_b (
    .clocks(clocks), .enables(enables), .resets(resets), .d(SOURCEB ? shifted_b : b), .q(right)
  );

  wire signed [18:0] signed_left = {SIGNEDA & left[17], left};
  wire signed [18:0] signed_right = {SIGNEDB & right[17], right};
  wire signed [35:0] product = signed_left * signed_right;
  wire [35:0] pipelined, result;
  ecp5_multiplier_register #(
    .WIDTH(36), .CLOCK(REG_PIPELINE_CLK), .ENABLE(REG_PIPELINE_CE), .RESET(REG_PIPELINE_RST)
  ) pipeline (
    .clocks(clocks), .enables(enables), .resets(resets), .d(product), .q(pipelined)
  );
  ecp5_multiplier_register #(
    .WIDTH(36), .CLOCK(REG_OUTPUT_CLK), .ENABLE(REG_OUTPUT_CE), .RESET(REG_OUTPUT_RST)
  ) out (
    .clocks(clocks), .enables(enables), .resets(resets), .d(pipelined), .q(result)
  );
  assign {
    P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17,
    P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
  } = result;
endmodule
