"""Words of the tape on their way from a source to the checker."""

from amaranth.lib.wiring import In, Out, Signature

__all__ = ["TapeWords"]


class TapeWords(Signature):
    """A stream of words of the tape, seen from its source.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        data (tape_width bits): a word, its first byte lowest.
        last (1 bit): where the tape comes as a stream, TLAST; otherwise there is no such port.
        valid (1 bit): there is a word.
        ready (1 bit, to the source): it is taken, if there is one.
    """

    def __init__(self, config):
        last = {"last": Out(1)} if config.tape_source == "stream" else {}
        super().__init__({"data": Out(config.tape_width), **last, "valid": Out(1), "ready": In(1)})
