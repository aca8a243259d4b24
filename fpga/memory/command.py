"""What an SDR SDRAM is told in a cycle."""

from amaranth.lib.wiring import Out, Signature

__all__ = ["SdramCommand"]


class SdramCommand(Signature):
    """A command; with `cs_n` high there is none.

    Args:
        chip (SdramChip): the chip.

    Ports:
        address (address_pins bits): row, column, or what a command says beside them.
        bank (bank_bits bits): the bank.
        cs_n (1 bit): low for a command.
        ras_n, cas_n, we_n (1 bit each): which one it is.
        cke (1 bit): the chip takes notice of its clock.
    """

    def __init__(self, chip):
        super().__init__(
            {
                "address": Out(chip.address_pins),
                "bank": Out(chip.bank_bits),
                "cs_n": Out(1, init=1),
                "ras_n": Out(1, init=1),
                "cas_n": Out(1, init=1),
                "we_n": Out(1, init=1),
                "cke": Out(1),
            }
        )
