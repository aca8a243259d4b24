"""Tile loader: takes commands, and moves what they need into array and columns.

A product is taken apart into passes, output tile by output tile:

    once         constants of its LayerNorm, 8 rows a tile of C features; then the LayerNorm may begin
    each pass    R rows of its stationary tile, from the tape or from the kernel
                 two rows of the embedding for each of some tokens
                 behind the last input tile: 8 rows of constants for the columns

A tile moves in while the pass before it streams; there is room for one that is complete and waits. The rows of a tile
follow each other without a gap, so they begin when all of them have come; other rows go as they come.

Whatever decides about the next row or pass is a register: whether this is the last tile, whether enough rows are there.
Each is found out with the step before, so that no decision waits for a counter's comparison.
"""

from types import SimpleNamespace

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width

from .bundles import (
    COMMAND_BITS,
    LoadControl,
    LoadKind,
    PassStream,
    address_widths,
    command_field,
    product_fields,
    sequence_width,
)
from .command import Destination, Flag, Opcode, Stationary

__all__ = ["TileLoader"]

_MOST_UNFINISHED = (1 << (sequence_width - 1)) - 1
"""Most products before one that are not finished: the retirement queue holds no more."""


class TileLoader(Block):
    """Turns commands into passes, and rows of the tape into tiles and constants.

    Args:
        config (NetworkConfig): the configuration.
        load_latency (int): cycles that the columns take from `load_control` to a row of the tile.

    Ports:
        command (COMMAND_BITS, input): the next command.
        command_valid (1 bit, input): there is one.
        command_taken (1 bit, output): it is taken in this cycle, in which it is valid and was so in the one before.
        tape_written (1 bit, input): one more row of payload is in the tape banks.
        tape_read (1 bit, output): a row is read from them: column c reads it c + 2 cycles later.
        finished (sequence_width bits, input): products that are finished, a counter that wraps.
        retirement_room (1 bit, input): the retirement queue has room.
        issued (1 bit, output): a product begins; it goes into the retirement queue.
        issued_destination (Destination, output): its destination.
        issued_table (1 bit, output): it has a table.
        ended (1 bit, output): the command END; it goes into the retirement queue.
        constants_valid (1 bit, output): the command CONSTANTS is in `constants`.
        constants (COMMAND_BITS, output): the command that is taken.
        residual_busy (1 bit, input): totals of passes that were taken may be on their way into the residual stream.
        constants_begun (1 bit, input): constants that were loaded have taken effect in column 0.
        norm_start (1 bit, output): the constants of a LayerNorm are loaded; its numbers are those of `product`.
        norm_idle (1 bit, input): no LayerNorm is under way.
        product (COMMAND_BITS, output): the product whose passes come, to the cycle after its last one is taken.
        product_number (sequence_width bits, output): its number.
        loaded (PassStream, output): the pass whose tile and constants are complete; `payload` is there from a cycle
            before `valid` on.
        load_control (LoadControl, output): a row, to the columns.
        load (1 bit, output): a row of a tile, to the array, one cycle before its operands get there.
        load_first (1 bit, output): it is the first row of a tile.
        starving (1 bit, output): it waits for the tape.
        held_up (1 bit, output): it waits for products before its own.
    """

    module_name = "tile_loader"
    waivers = {("UNUSEDSIGNAL", "product"): "Other blocks use the rest of its fields."}

    def __init__(self, config, *, load_latency):
        self._config = config
        self.rows = config.rows
        self.columns = config.columns
        self.queue_rows = config.tape_queue_rows
        self.load_latency = load_latency
        super().__init__(
            {
                "command": In(COMMAND_BITS),
                "command_valid": In(1),
                "command_taken": Out(1),
                "tape_written": In(1),
                "tape_read": Out(1),
                "finished": In(sequence_width),
                "retirement_room": In(1),
                "issued": Out(1),
                "issued_destination": Out(3),
                "issued_table": Out(1),
                "ended": Out(1),
                "constants_valid": Out(1),
                "constants": Out(COMMAND_BITS),
                "residual_busy": In(1),
                "constants_begun": In(1),
                "norm_start": Out(1),
                "norm_idle": In(1),
                "product": Out(COMMAND_BITS),
                "product_number": Out(sequence_width, init=(1 << sequence_width) - 1),
                "loaded": Out(PassStream(config)),
                "load_control": Out(LoadControl(config)),
                "load": Out(1),
                "load_first": Out(1),
                "starving": Out(1),
                "held_up": Out(1),
            }
        )

    @property
    def command_latency(self):
        """Cycles from a command's being there until it may be taken."""
        return 1

    def elaborate(self, platform):
        m = Module()
        fields = product_fields(self._config, self.product)
        from_tape = fields["stationary"] == Stationary.TAPE
        has_embedding = Signal()
        has_constants = Signal()
        m.d.sync += [
            has_embedding.eq((fields["flags"] & Flag.EMBEDDING).any()),
            has_constants.eq(fields["destination"] < Destination.KERNEL_0),
        ]
        # At most `_MOST_UNFINISHED` products are unfinished, so a difference of their numbers has a sign.
        needed = Signal(sequence_width)  # products that have to be finished
        finished_beyond = Signal(sequence_width)
        may_begin = Signal()
        m.d.comb += [finished_beyond.eq(self.finished - needed), may_begin.eq(~finished_beyond[-1])]
        position = _Position(m, self._config, fields)
        tape = self._tape(m)
        kinds = self._command_kinds(m)

        row = self.load_control.signature.create(path=("row",))
        count = Signal(range(max(self.rows, 8)))
        last_row = Signal()
        offered = Signal()  # the pass
        taken = Signal()
        norm_tile = Signal.like(fields["norm_tiles"])
        last_norm_tile = Signal()
        embedding = self._embedding(m, fields)
        constants_waiting = Signal()  # loaded, and not yet in effect
        tile_ready = Signal()  # the rows of the next tile can follow each other
        moving = Signal()
        alone = ~has_embedding & ~(position.input_last & has_constants)  # nothing comes behind the tile
        m.d.comb += [
            self.loaded.valid.eq(offered),
            taken.eq(offered & self.loaded.ready),
            position.advance.eq(taken),
            tile_ready.eq(Mux(from_tape, tape.tile_held, may_begin)),
            self._row(row, fields, position, count, norm_tile, embedding, tape),
        ]
        m.d.sync += [
            last_row.eq(moving & (count == self.rows - 2)),
            offered.eq((moving & (count == self.rows - 2) & alone) | (offered & ~taken)),
            last_norm_tile.eq(norm_tile + 1 == fields["norm_tiles"]),
        ]
        with m.If(self.constants_begun):
            m.d.sync += constants_waiting.eq(0)

        def leave(m):
            """The pass that is taken makes room for the next tile."""
            with m.If(taken):
                m.next = "WAIT"
                with m.If(position.input_last & position.output_last):
                    m.next = "COMMAND"
                with m.Elif(tile_ready):
                    m.next = "TILE"

        with m.FSM(name="state"):
            with m.State("COMMAND"):
                self._command(m, kinds, position, needed)
                m.d.sync += [norm_tile.eq(0), embedding.token.eq(0)]
            with m.State("NORM"):
                goes = self._next_row(m, row, LoadKind.NORM_CONSTANT, tape, self.norm_idle)
                with m.If(goes):
                    m.d.sync += count.eq(count + 1)
                with m.If(goes & (count == 7)):
                    m.d.sync += [count.eq(0), norm_tile.eq(norm_tile + 1)]
                    with m.If(last_norm_tile):
                        m.d.comb += self.norm_start.eq(1)
                        m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += [
                    self.starving.eq(from_tape & ~tape.tile_held),
                    self.held_up.eq(~from_tape & ~may_begin),
                ]
                with m.If(tile_ready):
                    m.next = "TILE"
            with m.State("TILE"):
                m.d.comb += [moving.eq(1), row.valid.eq(1), row.kind.eq(fields["stationary"])]
                m.d.sync += [
                    count.eq(count + 1),
                    embedding.left.eq(fields["embedding_chunk"]),
                    embedding.over.eq(embedding.none_comes),
                ]
                with m.If(last_row):
                    m.d.sync += count.eq(0)
                    with m.If(has_embedding):
                        m.next = "EMBEDDING"
                    with m.Elif(position.input_last & has_constants):
                        m.next = "CONSTANTS"
                    with m.Else():
                        m.next = "PASS"
                        leave(m)
            with m.State("EMBEDDING"):
                with m.If(~embedding.over):
                    self._embed(m, row, embedding, tape, ~self.residual_busy & may_begin)
                with m.Else():
                    m.d.sync += offered.eq(~position.input_last)
                    m.next = "PASS"
                    with m.If(position.input_last):
                        m.d.sync += embedding.token.eq(0)
                        m.next = "CONSTANTS"
            with m.State("CONSTANTS"):
                # The columns collect bytes beside the constants that wait, and put the last one in their place.
                goes = self._next_row(m, row, LoadKind.CONSTANT, tape, ~(constants_waiting & (count == 7)))
                with m.If(goes):
                    m.d.sync += count.eq(count + 1)
                with m.If(goes & (count == 7)):
                    m.d.sync += [count.eq(0), constants_waiting.eq(1), offered.eq(1)]
                    m.next = "PASS"
            with m.State("PASS"):
                leave(m)

        self._send(m, row, moving, count)
        self._pass(m, fields, position)
        return m

    def _send(self, m, row, moving, count):
        """The row goes to the columns; the array is told when a row of a tile gets there."""
        m.d.comb += self.tape_read.eq(row.valid & (row.kind != LoadKind.KERNEL_0) & (row.kind != LoadKind.KERNEL_1))
        pass_on(m, row, self.load_control)
        first_row = Signal()
        m.d.comb += [
            first_row.eq(moving & (count == 0)),
            self.load.eq(delay(m, moving, self.load_latency, "load")),
            self.load_first.eq(delay(m, first_row, self.load_latency, "load_first")),
        ]

    def _tape(self, m):
        """Rows of the tape that have come and were not read yet."""
        held = Signal(range(self.queue_rows + 1), name="rows_held")
        tile_held = Signal()  # behind the row that is read in this cycle
        address = Signal(index_width(self.queue_rows), name="tape_address")
        more, less = self.tape_written & ~self.tape_read, self.tape_read & ~self.tape_written
        with m.If(more):
            m.d.sync += held.eq(held + 1)
        with m.If(less):
            m.d.sync += held.eq(held - 1)
        with m.If(self.tape_read):
            m.d.sync += address.eq(address + 1)

        def at_least(rows, name):
            """Whether so many rows are held: a register, whose three cases are compared beside each other."""
            enough = Signal(name=name)
            before = held >= rows - 1 if rows > 1 else Const(1)
            m.d.sync += enough.eq(Mux(more, before, Mux(less, held >= rows + 1, held >= rows)))
            return enough

        some_held = at_least(1, "some_rows_held")
        whole, one_more = at_least(self.rows, "tile_held_whole"), at_least(self.rows + 1, "tile_and_row_held")
        m.d.comb += tile_held.eq(Mux(self.tape_read, one_more, whole))
        return SimpleNamespace(some_held=some_held, tile_held=tile_held, address=address)

    def _embedding(self, m, fields):
        """Tokens of the embedding, of which some come behind each tile."""
        embedding = SimpleNamespace(
            token=Signal.like(fields["length"], name="token"),
            high=Signal(name="high"),  # the second row of the token
            left=Signal.like(fields["embedding_chunk"], name="tokens_left"),  # behind this tile
            over=Signal(name="tokens_over"),  # no other one comes behind this tile
            # Found out before: the first of a token's two rows comes after the step to it.
            is_last=Signal(name="last_token"),
            none_comes=Signal(name="no_token"),  # behind the tile that moves in
        )
        m.d.sync += [
            embedding.is_last.eq((embedding.left == 1) | (embedding.token + 1 == fields["length"])),
            embedding.none_comes.eq((fields["embedding_chunk"] == 0) | (embedding.token == fields["length"])),
        ]
        return embedding

    def _embed(self, m, row, embedding, tape, may_go):
        """The next row of the embedding."""
        goes = self._next_row(m, row, LoadKind.EMBEDDING, tape, may_go)
        with m.If(goes):
            m.d.sync += embedding.high.eq(~embedding.high)
        with m.If(goes & embedding.high):
            m.d.sync += [
                embedding.left.eq(embedding.left - 1),
                embedding.token.eq(embedding.token + 1),
                embedding.over.eq(embedding.is_last),
            ]

    def _next_row(self, m, row, kind, tape, may_go):
        """The next row goes when it has come and may go; returns whether it does."""
        goes = tape.some_held & may_go
        m.d.comb += [
            row.valid.eq(goes),
            row.kind.eq(kind),
            self.starving.eq(~tape.some_held),
            self.held_up.eq(tape.some_held & ~may_go),
        ]
        return goes

    def _command_kinds(self, m):
        """Whether the command is PRODUCT, CONSTANTS or END: registers, from the cycle after it is there."""
        opcode = command_field(self.command, "opcode")
        kinds = []
        for kind in (Opcode.PRODUCT, Opcode.CONSTANTS, Opcode.END):
            kinds.append(Signal(name=f"is_{kind.name.lower()}"))
            m.d.sync += kinds[-1].eq(self.command_valid & ~self.command_taken & (opcode == kind))
        return kinds

    def _command(self, m, kinds, position, needed):
        """Takes a command. A product becomes `product`; the others are done at once."""
        within_tape = Signal()  # its END is still to come
        is_product, is_constants, is_end = kinds
        m.d.comb += [
            self.constants.eq(self.command),
            self.constants_valid.eq(is_constants),
            self.ended.eq(is_end & self.retirement_room),
            self.issued.eq(is_product & self.retirement_room),
            self.issued_destination.eq(command_field(self.command, "destination")),
            self.issued_table.eq((command_field(self.command, "flags") & Flag.TABLE).any()),
            self.command_taken.eq(self.constants_valid | self.ended | self.issued),
            self.starving.eq(within_tape & ~self.command_valid),
            self.held_up.eq((is_product | is_end) & ~self.retirement_room),
        ]
        with m.If(self.command_taken):
            m.d.sync += within_tape.eq(~self.ended)
        # While it waits for room, it goes in again and again: no enable of so many bits hears of the room.
        with m.If(is_product):
            m.d.sync += self.product.eq(self.command)
        with m.If(self.issued):
            wait = command_field(self.command, "wait")
            m.d.comb += position.begin.eq(1)
            m.d.sync += [
                self.product_number.eq(self.product_number + 1),
                needed.eq(self.product_number + 1 - Mux(wait > _MOST_UNFINISHED, _MOST_UNFINISHED, wait)),
            ]
            m.next = "WAIT"
            with m.If((command_field(self.command, "flags") & Flag.NORM).any()):
                m.next = "NORM"

    def _row(self, row, fields, position, count, norm_tile, embedding, tape):
        """Assignments of what a row says besides `valid` and `kind`."""
        from_kernel = (row.kind == LoadKind.KERNEL_0) | (row.kind == LoadKind.KERNEL_1)
        kernel_row = position.stationary_row + (self.rows - 1) - count
        kernel_address = position.stationary_address + (self.rows - 1) - count
        embedded = position.destination_address + embedding.token
        return [
            row.address.eq(Mux(from_kernel, kernel_address, tape.address)),
            row.blank.eq(from_kernel & (kernel_row >= fields["stationary_limit"])),
            row.byte.eq(Mux(row.kind == LoadKind.EMBEDDING, embedding.high, count)),
            row.place.eq(Mux(row.kind == LoadKind.EMBEDDING, embedded, norm_tile)),
        ]

    def _pass(self, m, fields, position):
        """The pass whose tile moves in, or waits."""
        coming = self.loaded.payload
        is_key = fields["destination"] == Destination.KEY
        following = position.destination_address + fields["destination_stride"]
        is_norm = (fields["flags"] & Flag.NORM).any()
        m.d.comb += [
            coming.sequence.eq(self.product_number),
            coming.wait.eq(fields["wait"]),
            coming.kind.eq(fields["kind"]),
            coming.source.eq(fields["source"]),
            coming.prefix.eq(fields["prefix"]),
            coming.length.eq(fields["length"]),
            coming.pass_length.eq(fields["pass_length"]),
            coming.source_address.eq(position.source_address),
            coming.norm.eq(is_norm & position.output_first),
            coming.norm_features.eq(position.features),
            coming.product_first.eq(position.input_first & position.output_first),
            coming.product_last.eq(position.input_last & position.output_last),
            coming.result.valid.eq(1),
            coming.result.first.eq(position.input_first),
            coming.result.last.eq(position.input_last),
            coming.result.destination.eq(fields["destination"]),
            coming.result.table.eq((fields["flags"] & Flag.TABLE).any()),
            coming.result.bank.eq(position.bank),
            coming.result.address.eq(position.destination_address),
            coming.result.following.eq(Mux(is_key, fields["destination_stride"], following)),
            coming.result.first_tile.eq(position.output_first),
            coming.result.last_tile.eq(position.output_last),
        ]


class _Position:
    """Where in its product the pass is whose tile moves in.

    `begin` takes the command that comes, `advance` goes on to the next pass. What the step does is found out before, in
    registers: passes are two cycles apart at least, and the first one comes later behind its command.
    """

    def __init__(self, m, config, fields):
        rows, columns = config.rows, config.columns
        widths = address_widths(config)
        # Tiles that are left, this one among them.
        input_left = Signal.like(fields["input_tiles"], name="input_left")
        output_left = Signal.like(fields["output_tiles"], name="output_left")
        self.begin, self.advance = Signal(name="begin"), Signal(name="advance")
        self.input_first, self.input_last = Signal(name="input_first"), Signal(name="input_last")
        self.output_first, self.output_last = Signal(name="output_first"), Signal(name="output_last")
        self.source_address = Signal(widths["source"], name="source_address")
        self.stationary_row = Signal.like(fields["stationary_limit"], name="stationary_row")
        self.stationary_address = Signal(widths["stationary"], name="stationary_address")
        self.destination_address = Signal(widths["destination"], name="destination_address")
        self.bank = Signal(index_width(rows), name="destination_bank")
        self.features = Signal(config.most_features.bit_length(), name="features")
        column_address = Signal(widths["stationary"], name="stationary_column_address")
        next_column_address = Signal.like(column_address)

        destination = fields["destination"]
        by_place = Signal(name="by_place")
        by_column = Signal(name="by_column")
        next_bank = Signal(range(2 * rows), name="next_bank")
        wraps = Signal(name="bank_wraps")
        two_inputs_left, two_outputs_left = Signal(name="two_inputs_left"), Signal(name="two_outputs_left")
        only_input = Signal(name="only_input")
        m.d.comb += [
            next_column_address.eq(column_address + fields["stationary_stride"]),
            next_bank.eq(self.bank + columns),
        ]
        m.d.sync += [
            by_place.eq((destination == Destination.ACTIVATION) | (destination == Destination.KERNEL_1)),
            by_column.eq((destination == Destination.KEY) | (destination == Destination.LOGITS)),
            wraps.eq(next_bank >= rows),
            two_inputs_left.eq(input_left == 2),
            two_outputs_left.eq(output_left == 2),
            only_input.eq(fields["input_tiles"] == 1),
        ]
        with m.If(self.advance):
            m.d.sync += [
                input_left.eq(input_left - 1),
                self.input_first.eq(0),
                self.input_last.eq(two_inputs_left),
                self.source_address.eq(self.source_address + fields["source_stride"]),
                self.stationary_row.eq(self.stationary_row + rows),
                self.stationary_address.eq(self.stationary_address + rows),
                self.features.eq(self.features + rows),
            ]
        with m.If(self.advance & self.input_last):
            m.d.sync += [
                input_left.eq(fields["input_tiles"]),
                self.input_first.eq(1),
                self.input_last.eq(only_input),
                output_left.eq(output_left - 1),
                self.output_first.eq(0),
                self.output_last.eq(two_outputs_left),
                self.source_address.eq(fields["source_base"]),
                self.stationary_row.eq(0),
                self.stationary_address.eq(next_column_address),
                column_address.eq(next_column_address),
            ]
            with m.If(by_column):
                m.d.sync += self.destination_address.eq(self.destination_address + columns)
            with m.Elif(by_place):
                m.d.sync += self.bank.eq(Mux(wraps, next_bank - rows, next_bank))
                with m.If(wraps):
                    m.d.sync += self.destination_address.eq(self.destination_address + fields["destination_stride"])
            with m.Else():
                m.d.sync += self.destination_address.eq(self.destination_address + fields["destination_stride"])
        # The command is in `product` a cycle later.
        fresh = delay(m, self.begin, 1, "fresh")
        with m.If(fresh):
            m.d.sync += [
                input_left.eq(fields["input_tiles"]),
                self.input_first.eq(1),
                self.input_last.eq(fields["input_tiles"] == 1),
                output_left.eq(fields["output_tiles"]),
                self.output_first.eq(1),
                self.output_last.eq(fields["output_tiles"] == 1),
                self.source_address.eq(fields["source_base"]),
                self.stationary_row.eq(0),
                self.stationary_address.eq(fields["stationary_base"]),
                column_address.eq(fields["stationary_base"]),
                self.destination_address.eq(fields["destination_base"]),
                self.bank.eq(fields["destination_bank"]),
                self.features.eq(rows),
            ]
