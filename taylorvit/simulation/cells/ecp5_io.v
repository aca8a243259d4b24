// Cells of Lattice ECP5 at pins, as far as they are used: registers that are always enabled and never cleared, a pin in
// both directions, and a clock that is sent out.

module OFS1P3DX (input wire D, SP, SCLK, CD, output reg Q);
    initial Q = 0;
    always @(posedge SCLK) begin
        if (!SP || CD) $fatal(1, "OFS1P3DX must be enabled and not cleared");
        Q <= D;
    end
endmodule

module IFS1P3DX (input wire D, SP, SCLK, CD, output reg Q);
    initial Q = 0;
    always @(posedge SCLK) begin
        if (!SP || CD) $fatal(1, "IFS1P3DX must be enabled and not cleared");
        Q <= D;
    end
endmodule

module BB (input wire I, T, output wire O, inout wire B);
    assign B = T ? 1'bz : I;
    assign O = B;
endmodule

module ODDRX1F (input wire SCLK, RST, D0, D1, output wire Q);
    // For constant data: they appear half a cycle later in the cell, which makes no difference.
    assign Q = SCLK ? D0 : D1;
endmodule
