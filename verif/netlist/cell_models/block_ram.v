// What the block RAMs of ECP5 and Gowin have in common: 18 Kbit, zero at first; port A writes and reads, port B reads.
//
// An address counts bits of the narrowest port, so a word of WIDTH bits has log2(WIDTH) bits of it (a ninth bit of a byte
// not counted) to spare: with 16 bits or more, the lowest of them enable bytes for writing. What port B reads where port
// A writes in the same cycle is unknown in these RAMs: here, what was there before with all bits inverted.
module block_ram #(
  parameter WIDTH = 18,
  parameter READS_WHILE_WRITING = "OLD"  // port A then reads what was there ("OLD"), what it writes ("NEW"), or nothing
) (
  input wire clock_a, enable_a, write, clock_b, enable_b,
  input wire [13:0] address_a, address_b,
  input wire [35:0] written,
  output reg [35:0] read_a, read_b
);
  localparam SPARE = $clog2(WIDTH % 9 == 0 ? WIDTH / 9 * 8 : WIDTH);
  localparam WORDS = 1 << (14 - SPARE);
  localparam BYTE = WIDTH % 9 == 0 ? 9 : 8;
  generate
    if (WIDTH != 36 && WIDTH != 32 && WIDTH != 18 && WIDTH != 16 && WIDTH != 9 && WIDTH != 8 && WIDTH != 4 && WIDTH != 2
        && WIDTH != 1) block_ram_has_no_such_WIDTH refused();
  endgenerate

  reg [WIDTH-1:0] words [0:WORDS-1];
  integer index;
  initial begin
    for (index = 0; index < WORDS; index = index + 1) words[index] = 0;
    read_a = 0;
    read_b = 0;
  end

  wire [13-SPARE:0] word_a = address_a[13:SPARE], word_b = address_b[13:SPARE];
  wire [WIDTH-1:0] enabled;
  genvar position;
  generate
    for (position = 0; position < WIDTH; position = position + 1) begin : bits
      assign enabled[position] = WIDTH < 16 || address_a[position / BYTE];
    end
  endgenerate
  always @(posedge clock_a)
    if (enable_a) begin
      if (write) words[word_a] <= written[WIDTH-1:0] & enabled | words[word_a] & ~enabled;
      if (!write || READS_WHILE_WRITING == "OLD") read_a <= words[word_a];
      else if (READS_WHILE_WRITING == "NEW") read_a <= written[WIDTH-1:0] & enabled | words[word_a] & ~enabled;
    end
  always @(posedge clock_b)
    if (enable_b) read_b <= words[word_b] ^ {WIDTH{enable_a && write && word_a == word_b}};
endmodule
