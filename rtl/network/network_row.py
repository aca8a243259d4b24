"""Network row: the buffers that feed one row of the array.

Row r holds the activations at places r, r + R, ..., and the pixels r, r + R, ... of each patch. What the attention
kernel streams besides them, and how, is in its own row (`rtl.network.kernel`), the last block in front of the array.

    control --+------------------------------------------------> control of the row below, one cycle later
              |--> [activation bank] --.
              |--> [image bank] -------+--> (zero) --> kernel row --> streamed, swap
              '--------------------------------------------^

With `image_banks` "activations" there is no image bank, and the pixels go to the activation bank.
"""

from math import gcd

from amaranth.hdl import Module, Mux, signed
from amaranth.lib.wiring import In, Out, flipped

from taylorvit.rtl.common.block import Block, instantiate
from taylorvit.rtl.common.bus import connect
from taylorvit.rtl.common.memory_bank import MemoryBank, memory_bank
from taylorvit.rtl.common.pipeline import delay, pass_on
from taylorvit.rtl.common.widths import index_width

from .bundles import ActivationWrite, ImageWrite, StreamControl
from .command import Source

__all__ = ["NetworkRow", "writing_columns"]


def writing_columns(config, row):
    """The columns whose activations can belong into a row's bank: output tiles begin at multiples of C.

    Args:
        config (NetworkConfig): the configuration.
        row (int): the row.

    Returns:
        list[int]: the columns.
    """
    step = gcd(config.rows, config.columns)
    return list(range(row % step, config.columns, step))


class NetworkRow(Block):
    """One row's buffers.

    Args:
        config (NetworkConfig): the configuration.
        kernel_row (Block): what the attention kernel has in each row.

    Ports:
        row (index_width(rows) bits, input): number of the row, a constant.
        control_in, control_out (StreamControl): what to stream; passed on one cycle later.
        activations (ActivationWrite, input, one for each of `writing_columns`): activations of columns; the one that
            names this row is written one cycle later.
        image (ImageWrite, input): pixels; those of this row are written one cycle later.
        kernel_in, kernel_out (the kernel's own): along the rows.
        feed (the kernel's own, input): what the kernel writes into this row.
        streamed (streamed_width bits signed, output): to the array, `latency` cycles after `control_in`.
        swap (1 bit, output): likewise.
    """

    module_name = "network_row"
    waivers = {
        ("PINCONNECTEMPTY", "*_out"): "The last row has none below it.",
        ("PINCONNECTEMPTY", "*_out__*"): "The last row has none below it.",
    }

    def __init__(self, config, *, kernel_row):
        self.lanes = config.image_lanes
        self.data_width = config.data_width
        self.kernel_row = kernel_row
        pipeline = config.memory_pipeline
        self.activation_bank = MemoryBank(
            depth=config.activation_bank_depth,
            width=config.data_width,
            pipeline=pipeline,
            kind=config.activation_memory,
        )
        self.image_bank = None
        if not config.shares_image_banks:
            self.image_bank = memory_bank(
                depth=config.image_depth, width=config.data_width, pipeline=pipeline, kind=config.image_memory
            )
        kernel_ports = kernel_row.signature.members
        super().__init__(
            {
                "row": In(index_width(config.rows)),
                "control_in": In(StreamControl(config)),
                "control_out": Out(StreamControl(config)),
                "activations": In(ActivationWrite(config)).array(len(writing_columns(config, 0))),
                "image": In(ImageWrite(config)),
                "kernel_in": kernel_ports["side_in"],
                "kernel_out": kernel_ports["side_out"],
                "feed": kernel_ports["feed"],
                "streamed": Out(signed(config.streamed_width)),
                "swap": Out(1),
            }
        )

    @property
    def memory_latency(self):
        """Cycles from `control_in` to the banks' words."""
        return self.activation_bank.latency

    @property
    def latency(self):
        """Cycles from `control_in` to `streamed`: the banks, then the kernel's row."""
        return self.kernel_row.latency

    def elaborate(self, platform):
        m = Module()
        activation_bank = instantiate(m, "activation_bank", self.activation_bank)
        kernel_row = instantiate(m, "kernel_row", self.kernel_row)
        pass_on(m, self.control_in, self.control_out)

        # At most one column has an activation for this row; of pixels, a lane of the beat is this row's.
        writes = [(write.valid & (write.bank == self.row), write.address, write.data) for write in self.activations]
        group, lane = self._image_place()
        is_pixel = self.image.valid & (self.image.group == group)
        pixel = (is_pixel, self.image.address, self.image.data.word_select(lane, self.data_width))
        word = self._bank(m, "activation", activation_bank, writes if self.image_bank else [*writes, pixel])

        # `control_out` is this row's control one cycle later; the banks' words come with or after it.
        after = self.memory_latency - 1
        blank = delay(m, self.control_out.blank, after, "blank")
        if self.image_bank:
            image_word = self._bank(m, "image", instantiate(m, "image_bank", self.image_bank), [pixel])
            is_image = delay(m, self.control_out.source == Source.IMAGE, after, "is_image")
            word = Mux(is_image, image_word, word)
        connect(m, flipped(self.control_in), kernel_row.control)
        connect(m, flipped(self.kernel_in), kernel_row.side_in)
        connect(m, kernel_row.side_out, flipped(self.kernel_out))
        connect(m, flipped(self.feed), kernel_row.feed)
        m.d.comb += [
            kernel_row.operand.eq(Mux(blank, 0, word)),
            self.streamed.eq(kernel_row.streamed),
            self.swap.eq(delay(m, self.control_out.swap, self.latency - 1, "swap")),
        ]
        return m

    def _bank(self, m, name, bank, writes):
        """Joins a bank to the control and to what is written into it, at most one at a time; returns its word.

        `writes` are of whether there is one, its address and its data. One that is alone need not be chosen.
        """
        enable, address, data = 0, 0, 0
        for is_mine, its_address, its_data in writes:
            enable = enable | is_mine
            address = address | (Mux(is_mine, its_address, 0) if len(writes) > 1 else its_address)
            data = data | (Mux(is_mine, its_data.as_unsigned(), 0) if len(writes) > 1 else its_data.as_unsigned())
        m.d.comb += [
            bank.write_enable.eq(delay(m, enable, 1, f"{name}_valid")),
            bank.write_address.eq(delay(m, address, 1, f"{name}_address")),
            bank.write_data.eq(delay(m, data, 1, f"{name}_data")),
            bank.read_address.eq(self.control_in.address),
        ]
        return bank.read_data

    def _image_place(self):
        """The group and the lane of the image's beats that belong to this row."""
        if self.lanes == 1:
            return self.row, 0
        if self.lanes & (self.lanes - 1) == 0:
            bits = self.lanes.bit_length() - 1
            return self.row[bits:], self.row[:bits]
        return self.row // self.lanes, self.row % self.lanes
