"""A stand-in for a network accelerator, by hand: its ports, and logits that say what came in through them.

A job reads the tape once for each image, burst by burst, takes the image, and sends CLASSES logits: logit k is the sum
of the tape's bytes, plus the sum of the pixels, plus k. Registers are words that can be written and read, and

    0x040 CONTROL   1 starts a job           0x0C0 CYCLES      from the first address of the tape to its last beat
    0x048 EVENTS    write 1 to clear         0x0C4 ARRAY_BUSY  beats whose answer was no OKAY
    0x080 IMAGES    0x08C CLASSES    0x094 TAPE_LENGTH
"""

__all__ = ["verilog"]


def verilog(tape_width: int, *, burst: int = 16, stream: bool = False) -> str:
    """The module; its port of the tape has so many bits: an AXI4 master with bursts of so many beats, or a stream."""
    master = f"""
  output [31:0] m_axi_tape_araddr, output [7:0] m_axi_tape_arlen, output [2:0] m_axi_tape_arsize,
  output [1:0] m_axi_tape_arburst, output m_axi_tape_arvalid, input m_axi_tape_arready,
  input [{tape_width - 1}:0] m_axi_tape_rdata, input [1:0] m_axi_tape_rresp, input m_axi_tape_rlast,
  input m_axi_tape_rvalid, output m_axi_tape_rready);
  wire [{tape_width - 1}:0] data = m_axi_tape_rdata;
  wire beat = m_axi_tape_rvalid & m_axi_tape_rready;
  wire wrong = m_axi_tape_rresp != 0 | m_axi_tape_rlast != (beats == 1);
  wire last = asked == length & beats == 1;
  assign m_axi_tape_araddr = asked, m_axi_tape_arlen = burst[7:0] - 8'd1;
  assign m_axi_tape_arsize = {(tape_width // 8).bit_length() - 1};
  assign m_axi_tape_arburst = 1, m_axi_tape_arvalid = state == 1 & beats == 0, m_axi_tape_rready = beats != 0;
  wire address = m_axi_tape_arvalid & m_axi_tape_arready;
"""
    slave = f"""
  input [{tape_width - 1}:0] s_axis_tape_tdata, input s_axis_tape_tvalid, output s_axis_tape_tready,
  input s_axis_tape_tlast);
  wire [{tape_width - 1}:0] data = s_axis_tape_tdata;
  assign s_axis_tape_tready = state == 1;
  wire beat = s_axis_tape_tvalid & s_axis_tape_tready, wrong = 0, last = s_axis_tape_tlast, address = 0;
"""
    return f"""
module taylorvit(
  input clk, input rst,
  input [11:0] s_axil_awaddr, input [2:0] s_axil_awprot, input s_axil_awvalid, output s_axil_awready,
  input [31:0] s_axil_wdata, input [3:0] s_axil_wstrb, input s_axil_wvalid, output s_axil_wready,
  output [1:0] s_axil_bresp, output reg s_axil_bvalid, input s_axil_bready,
  input [11:0] s_axil_araddr, input [2:0] s_axil_arprot, input s_axil_arvalid, output s_axil_arready,
  output reg [31:0] s_axil_rdata, output [1:0] s_axil_rresp, output reg s_axil_rvalid, input s_axil_rready,
  output interrupt,
  input [31:0] s_axis_image_tdata, input s_axis_image_tvalid, output s_axis_image_tready, input s_axis_image_tlast,
  output [31:0] m_axis_logits_tdata, output m_axis_logits_tvalid, input m_axis_logits_tready,
  output m_axis_logits_tlast,
  {slave if stream else master}
  reg [31:0] words [0:63];
  wire [31:0] images = words[32], classes = words[35], length = words[37], burst = {burst};
  reg [2:0] state; // 0 idle, 1 tape, 2 image, 3 logits
  reg [31:0] asked, beats, tape_sum, pixel_sum, left, sent;
  reg measuring;
  integer index;
  reg [31:0] bytes;
  always @* begin
    bytes = 0;
    for (index = 0; index < {tape_width // 8}; index = index + 1) bytes = bytes + {{24'b0, data[8 * index +: 8]}};
  end
  assign interrupt = |(words[18] & words[19]);
  wire write = s_axil_awvalid & s_axil_wvalid & ~s_axil_bvalid;
  assign s_axil_awready = write, s_axil_wready = write, s_axil_bresp = s_axil_awaddr == 12'hffc ? 2 : 0;
  assign s_axil_arready = ~s_axil_rvalid, s_axil_rresp = 0;
  assign s_axis_image_tready = state == 2;
  assign m_axis_logits_tvalid = state == 3, m_axis_logits_tlast = sent + 1 == classes;
  assign m_axis_logits_tdata = tape_sum + pixel_sum + sent;
  wire [7:0] p0 = s_axis_image_tdata[7:0], p1 = s_axis_image_tdata[15:8], p2 = s_axis_image_tdata[23:16],
    p3 = s_axis_image_tdata[31:24];
  always @(posedge clk) begin
    if (s_axil_bready) s_axil_bvalid <= 0;
    if (write) begin
      s_axil_bvalid <= 1;
      if (s_axil_awaddr == 12'h048) words[18] <= words[18] & ~s_axil_wdata;
      else words[s_axil_awaddr[7:2]] <= s_axil_wdata;
      if (s_axil_awaddr == 12'h040 & s_axil_wdata[0]) begin
        state <= 1; left <= images; asked <= 0; beats <= 0; tape_sum <= 0; pixel_sum <= 0; sent <= 0;
        words[48] <= 0; words[49] <= 0; measuring <= 0;
      end
    end
    if (s_axil_rready) s_axil_rvalid <= 0;
    if (s_axil_arvalid & s_axil_arready) begin
      s_axil_rvalid <= 1; s_axil_rdata <= words[s_axil_araddr[7:2]];
    end
    if (address) begin beats <= burst; asked <= asked + burst * {tape_width // 8}; measuring <= 1; end
    if (measuring) words[48] <= words[48] + 1;
    if (beat) begin
      tape_sum <= tape_sum + bytes; beats <= beats - 1;
      if (wrong) words[49] <= words[49] + 1;
      if (last) begin state <= 2; measuring <= 0; end
    end
    if (s_axis_image_tvalid & s_axis_image_tready) begin
      pixel_sum <= pixel_sum + p0 + p1 + p2 + p3;
      if (s_axis_image_tlast) state <= 3;
    end
    if (m_axis_logits_tvalid & m_axis_logits_tready) begin
      sent <= sent + 1;
      if (m_axis_logits_tlast) begin
        sent <= 0; asked <= 0; beats <= 0; tape_sum <= 0; pixel_sum <= 0; left <= left - 1;
        state <= left == 1 ? 0 : 1;
        if (left == 1) words[18] <= words[18] | 1;
      end
    end
    if (rst) begin
      state <= 0; words[18] <= 0; words[19] <= 0; s_axil_bvalid <= 0; s_axil_rvalid <= 0; beats <= 0;
      measuring <= 0;
    end
  end
endmodule
"""
