// An SDR SDRAM, cycle by cycle, which refuses what a real chip would not bear.
//
// Bursts of one column. All times are cycles of `clk`. A command that comes too early, in the wrong state of a bank, or
// before the chip is initialized, refreshes that come too late, and data that both sides drive, end the simulation with
// one line that says what was wrong. The byte at address {row, bank, column, byte} of the memory is byte of that number
// of a file that the argument +sdram=FILE names; without it the memory is 0.
module sdram_chip #(
    parameter BANK_BITS = 2,
    parameter ROW_BITS = 13,
    parameter COLUMN_BITS = 9,
    parameter BYTES = 2,
    parameter CAS_LATENCY = 2,
    parameter LATE = 0,  // cycles that data come later at the pins of the FPGA, for a clock of another phase
    parameter START = 1,  // from power-up to the first command
    parameter START_REFRESHES = 8,
    parameter PRECHARGE = 1,  // tRP
    parameter ACTIVATE = 1,  // tRCD
    parameter ACTIVE = 1,  // tRAS
    parameter ROW_CYCLE = 1,  // tRC
    parameter ROW_TO_ROW = 1,  // tRRD
    parameter REFRESH_CYCLE = 1,  // tRFC
    parameter WRITE_RECOVERY = 1,  // tWR
    parameter MODE_CYCLES = 2,  // tMRD
    parameter REFRESH_INTERVAL = 100,  // tREFI; at most eight refreshes may be late
    parameter ADDRESS_BITS = 13
) (
    input wire clk,
    input wire cke,
    input wire cs_n,
    input wire ras_n,
    input wire cas_n,
    input wire we_n,
    input wire [BANK_BITS-1:0] ba,
    input wire [ADDRESS_BITS-1:0] a,
    input wire [BYTES-1:0] dqm,
    inout wire [8*BYTES-1:0] dq
);
    localparam BANKS = 1 << BANK_BITS;
    localparam PLACE_BITS = ROW_BITS + BANK_BITS + COLUMN_BITS;
    localparam LONGEST = CAS_LATENCY - 1 + LATE;
    localparam [2:0] SET_MODE = 3'b000, REFRESH = 3'b001, CLOSE = 3'b010, OPEN = 3'b011, WRITE = 3'b100, READ = 3'b101;
    localparam [2:0] STOP = 3'b110, NOTHING = 3'b111;
    localparam integer LONG_AGO = -1000000;
    localparam [31:0] STDERR = 32'h80000002;

    reg [7:0] memory [0:(1 << PLACE_BITS) * BYTES - 1];

    integer now = 0;  // cycles with cke
    integer refreshes = 0;  // since power-up
    reg is_closed = 0;  // all rows were closed since power-up
    reg is_set = 0;  // the mode was set
    integer set_at = LONG_AGO;
    integer refreshed_at = LONG_AGO;
    integer due = 0;  // cycles for which refreshes are missing
    integer opened_at [0:BANKS-1];
    integer closed_at [0:BANKS-1];  // when it is closed, or will be by itself
    integer written_at [0:BANKS-1];
    reg [ROW_BITS-1:0] row [0:BANKS-1];
    reg [BANKS-1:0] is_open = 0;
    reg [BANKS-1:0] closes_itself = 0;

    // What is read, on its way to the pins.
    reg [8*BYTES-1:0] data [0:LONGEST];
    reg [BYTES-1:0] drives [0:LONGEST];

    wire [2:0] command = {ras_n, cas_n, we_n};
    wire [ROW_BITS-1:0] selected_row = row[ba];
    wire [PLACE_BITS-1:0] place = {selected_row, ba, a[COLUMN_BITS-1:0]};

    genvar lane;
    generate
        for (lane = 0; lane < BYTES; lane = lane + 1) begin : pins
            assign dq[8*lane+:8] = drives[LONGEST][lane] ? data[LONGEST][8*lane+:8] : 8'bz;
        end
    endgenerate

    reg [8*256-1:0] file;
    integer handle, count, bank;
    initial begin
        for (bank = 0; bank < BANKS; bank = bank + 1) begin
            opened_at[bank] = LONG_AGO;
            closed_at[bank] = LONG_AGO;
            written_at[bank] = LONG_AGO;
            row[bank] = 0;
        end
        for (bank = 0; bank <= LONGEST; bank = bank + 1) begin
            data[bank] = 0;
            drives[bank] = 0;
        end
        if ($value$plusargs("sdram=%s", file)) begin
            handle = $fopen(file, "rb");
            if (handle == 0) begin $fdisplay(STDERR, "SDRAM: file must be readable: %0s", file); $fatal(1); end
            count = $fread(memory, handle);
            $fclose(handle);
        end
    end

    // Ends the simulation unless `cycles` have passed since `past`.
    task after(input integer past, input integer cycles, input [8*24-1:0] name, input [8*24-1:0] rule);
        if (now - past < cycles)
            begin $fdisplay(STDERR, "SDRAM: %0s must come %0d cycles after %0s at least, not %0d", name, cycles, rule, now - past); $fatal(1); end
    endtask

    task refuse(input [8*24-1:0] name, input [8*40-1:0] rule);
        begin $fdisplay(STDERR, "SDRAM: %0s must come %0s (bank %0d, cycle %0d)", name, rule, ba, now); $fatal(1); end
    endtask

    task idle(input [8*24-1:0] name, input [BANKS-1:0] of);
        if ((is_open & of) != 0) refuse(name, "when the row is closed");
        for (bank = 0; bank < BANKS; bank = bank + 1)
            if (of[bank]) after(closed_at[bank], PRECHARGE, name, "closing a row (tRP)");
        after(refreshed_at, REFRESH_CYCLE, name, "a refresh (tRFC)");
        after(set_at, MODE_CYCLES, name, "setting the mode (tMRD)");
    endtask

    integer column_error;
    always @(posedge clk) begin
        for (bank = LONGEST; bank > 0; bank = bank - 1) begin
            data[bank] <= data[bank-1];
            drives[bank] <= drives[bank-1];
        end
        drives[0] <= 0;
        if (cke) begin
            now = now + 1;
            if (is_set) begin
                due = due + 1;
                if (due > 9 * REFRESH_INTERVAL) begin $fdisplay(STDERR, "SDRAM: refresh must not be nine intervals late (tREFI)"); $fatal(1); end
            end
            // Rows that were to close by themselves, once they may.
            for (bank = 0; bank < BANKS; bank = bank + 1)
                if (closes_itself[bank] && now >= closed_at[bank]) begin
                    is_open[bank] = 0;
                    closes_itself[bank] = 0;
                end
            if (!cs_n && command != NOTHING) begin
                if (now <= START) refuse("a command", "after the wait at power-up");
                if (!is_closed && !(command == CLOSE && a[10])) refuse("another command", "after closing all rows");
                case (command)
                    CLOSE: begin
                        after(set_at, MODE_CYCLES, "closing a row", "setting the mode (tMRD)");
                        for (bank = 0; bank < BANKS; bank = bank + 1)
                            if ((a[10] || ba == bank[BANK_BITS-1:0]) && is_open[bank]) begin
                                after(opened_at[bank], ACTIVE, "closing a row", "opening it (tRAS)");
                                after(written_at[bank], WRITE_RECOVERY, "closing a row", "a write (tWR)");
                                is_open[bank] = 0;
                                closes_itself[bank] = 0;
                                closed_at[bank] = now;
                            end else if (a[10] && !is_closed) closed_at[bank] = now;
                        if (a[10]) is_closed = 1;
                    end
                    REFRESH: begin
                        idle("a refresh", {BANKS{1'b1}});
                        refreshed_at = now;
                        refreshes = refreshes + 1;
                        due = due > 0 ? due - REFRESH_INTERVAL : due;
                    end
                    SET_MODE: begin
                        if (refreshes < START_REFRESHES) refuse("setting the mode", "after enough refreshes");
                        idle("setting the mode", {BANKS{1'b1}});
                        if (a[8:0] != CAS_LATENCY << 4 || ba != 0)
                            begin $fdisplay(STDERR, "SDRAM: mode must be %0h, not %0h", CAS_LATENCY << 4, a); $fatal(1); end
                        is_set = 1;
                        set_at = now;
                    end
                    OPEN: begin
                        if (!is_set) refuse("opening a row", "after setting the mode");
                        idle("opening a row", 1 << ba);
                        after(opened_at[ba], ROW_CYCLE, "opening a row", "opening one (tRC)");
                        for (bank = 0; bank < BANKS; bank = bank + 1)
                            after(opened_at[bank], ROW_TO_ROW, "opening a row", "another bank's (tRRD)");
                        is_open[ba] = 1;
                        row[ba] = a[ROW_BITS-1:0];
                        opened_at[ba] = now;
                    end
                    READ, WRITE: begin
                        if (!is_open[ba] || closes_itself[ba]) refuse("a read or write", "when a row is open");
                        after(opened_at[ba], ACTIVATE, "a read or write", "opening the row (tRCD)");
                        column_error = (a & ~(1 << 10)) >> COLUMN_BITS;
                        if (column_error != 0) begin $fdisplay(STDERR, "SDRAM: column must be there, not %0h", a); $fatal(1); end
                        if (a[10]) begin
                            closes_itself[ba] = 1;
                            closed_at[ba] = now + (command == WRITE ? WRITE_RECOVERY : 1);
                            if (closed_at[ba] < opened_at[ba] + ACTIVE) closed_at[ba] = opened_at[ba] + ACTIVE;
                        end
                        if (command == READ) begin
                            for (bank = 0; bank < BYTES; bank = bank + 1)
                                data[0][8*bank+:8] <= memory[place*BYTES+bank];
                            drives[0] <= ~dqm;
                        end else begin
                            if (drives[LONGEST] != 0) refuse("a write", "when no data are read");
                            written_at[ba] = now;
                            for (bank = 0; bank < BYTES; bank = bank + 1)
                                if (!dqm[bank]) memory[place*BYTES+bank] = dq[8*bank+:8];
                        end
                    end
                    default: refuse("stopping a burst", "never");
                endcase
            end
        end
    end
endmodule
