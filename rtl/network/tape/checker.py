"""Tape checker: lets the commands and their payload pass, and looks whether the tape is what it says.

    words --> header: compared, field by field
          --> body  --> decoder          } --> CRC
          --> CRC's rows: compared

It counts bytes, so it knows where the body ends before the decoder does.

A tape that is only read goes into the CRC from its first byte to its last, whatever it says, and nothing passes.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In, Out, Signature

from taylorvit.rtl.common.block import Block
from taylorvit.rtl.common.pipeline import delay
from taylorvit.rtl.common.widths import index_width
from taylorvit.rtl.network.command import HEADER_BYTES, HEADER_FIELDS, MAGIC, TRAILER_BYTES, VERSION

from .crc import FINAL, INITIAL, state_part, word_part
from .words import TapeWords

__all__ = ["TapeBody", "TapeChecker"]

_CHECKED = ("magic", "version", "configuration", "length")  # in the order in which they are told


class TapeBody(Signature):
    """A stream of words of the tape's body, seen from the checker.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        data (tape_width bits): a word, its first byte lowest.
        last (1 bit): the last word of the body.
        valid (1 bit): there is a word.
        ready (1 bit, to the checker): it is taken, if there is one; known without the word.
    """

    def __init__(self, config):
        super().__init__({"data": Out(config.tape_width), "last": Out(1), "valid": Out(1), "ready": In(1)})


class TapeChecker(Block):
    """Checks one tape after the other. A word passes in the cycle in which it comes.

    Errors are pulses. Of several faults in one word of the header only the first is told, in the order of the ports.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        start (1 bit, input): a job begins.
        length (32 bits, input): bytes that the tape must have, constant from the cycle of `start` while the job runs.
        only_read (1 bit, input): nothing is looked at but TLAST and the sum; constant like `length`.
        words (TapeWords, input): the tape.
        body (TapeBody, output): commands and payload.
        passed (1 bit, output): pulse: the tape has ended, and its CRC was right.
        been_read (1 bit, output): pulse: a tape that is only read has ended.
        sum (32 bits, output): CRC-32 of all bytes of a tape that is only read, from the cycle of `been_read` until the
            next job. 0 after a reset.
        magic_error (1 bit, output): the first bytes are wrong.
        version_error (1 bit, output): the version of the format is another one.
        configuration_error (1 bit, output): the tape is for another configuration.
        length_error (1 bit, output): its length is another one, or TLAST is not where it ends.
        crc_error (1 bit, output): the CRC is wrong.
    """

    module_name = "tape_checker"

    def __init__(self, config):
        self.tape_bytes = config.tape_bytes
        self.columns = config.columns
        self.tape_hash = config.tape_hash
        self.longest_tape = config.tape_memory_bytes or (1 << 32) - 1
        self.is_stream = config.tape_source == "stream"
        super().__init__(
            {
                "start": In(1),
                "length": In(32),
                "only_read": In(1),
                "words": In(TapeWords(config)),
                "body": Out(TapeBody(config)),
                "passed": Out(1),
                "been_read": Out(1),
                "sum": Out(32),
                "magic_error": Out(1),
                "version_error": Out(1),
                "configuration_error": Out(1),
                "length_error": Out(1),
                "crc_error": Out(1),
            }
        )

    def _words_of(self, size):
        """Words of `size` bytes that are filled up to whole rows."""
        return -(-size // self.columns) * self.columns // self.tape_bytes

    def elaborate(self, platform):
        m = Module()
        header_words = self._words_of(HEADER_BYTES)
        trailer_bytes = self._words_of(TRAILER_BYTES) * self.tape_bytes
        header_word = Signal(range(header_words + 1))  # of the header, or behind it
        in_header = Signal(init=1)
        in_trailer = Signal()
        ends = Signal()  # with the next word
        body_ends = Signal()
        left = Signal(self.longest_tape.bit_length() + 1)  # bytes, the next word's among them
        left_next = left - self.tape_bytes
        moves = Signal()
        in_body = Signal()
        passes = Signal()  # there is a body for the decoder; no word comes within a cycle of `start`
        m.d.sync += passes.eq(~self.only_read)
        m.d.comb += [
            in_body.eq(~in_header & ~in_trailer & passes),
            self.body.data.eq(self.words.data),
            self.body.last.eq(body_ends),
            self.body.valid.eq(self.words.valid & in_body),
            self.words.ready.eq(self.body.ready | ~in_body),
            moves.eq(self.words.valid & self.words.ready),
        ]
        # Where the next word is, a cycle before it can come.
        with m.If(moves):
            m.d.sync += [
                left.eq(left_next),
                ends.eq(left <= 2 * self.tape_bytes),
                in_trailer.eq(left <= trailer_bytes + self.tape_bytes),
                body_ends.eq(left <= trailer_bytes + 2 * self.tape_bytes),
            ]
            with m.If(in_header):
                m.d.sync += header_word.eq(header_word + 1)
                with m.If(header_word == header_words - 1):
                    m.d.sync += [in_header.eq(0), header_word.eq(0)]
            with m.If(ends):
                m.d.sync += [left.eq(self.length), ends.eq(0), in_trailer.eq(0), body_ends.eq(0), in_header.eq(1)]
        with m.If(self.start):
            m.d.sync += left.eq(self.length)

        # What is looked at is a cycle older, so that the words' way to the decoder is short.
        word = Signal(8 * self.tape_bytes, reset_less=True)
        misplaced_last = Signal()
        m.d.sync += word.eq(self.words.data)
        if self.is_stream:
            m.d.sync += misplaced_last.eq(moves & (self.words.last != ends))
        length_is_wrong = self._check_header(
            m, word, delay(m, moves & in_header & ~self.only_read, 1, "header"), delay(m, header_word, 1, "header_word")
        )
        m.d.comb += self.length_error.eq(length_is_wrong | misplaced_last)
        first = in_header & (header_word == 0)
        self._check_crc(
            m,
            word,
            covered=delay(m, moves & (~in_trailer | self.only_read), 1, "covered"),
            first=delay(m, first, 1, "first"),
            stored=delay(m, moves & in_trailer, 1, "stored"),
            end=delay(m, moves & ends, 1, "end"),
        )
        return m

    def _check_header(self, m, word, is_header, index):
        """Compares the fields of the header, each where it stands; returns whether the length is wrong."""
        expected = {
            "magic": Const(MAGIC, 32),
            "version": Const(VERSION, 16),
            "configuration": Const(self.tape_hash, 64),
            "length": self.length,
        }
        wrong = {name: Signal(name=f"{name}_is_wrong") for name in _CHECKED}
        with m.Switch(index):
            for number in range(-(-HEADER_BYTES // self.tape_bytes)):
                first, end = number * self.tape_bytes, (number + 1) * self.tape_bytes
                with m.Case(number):
                    for name in _CHECKED:
                        field = HEADER_FIELDS[name]
                        low, high = max(first, field.place), min(end, field.place + field.bytes)
                        if low < high:
                            got = word[8 * (low - first) : 8 * (high - first)]
                            want = expected[name][8 * (low - field.place) : 8 * (high - field.place)]
                            m.d.comb += wrong[name].eq(is_header & (got != want))
        earlier = Const(0, 1)
        for name in _CHECKED[:-1]:
            m.d.comb += getattr(self, f"{name}_error").eq(wrong[name] & ~earlier)
            earlier = earlier | wrong[name]
        return wrong["length"] & ~earlier

    def _check_crc(self, m, word, *, covered, first, stored, end):
        """Three steps: a word, what it gives, the state with it. The state is there in the cycle after `end`."""
        part = Signal(32, reset_less=True)
        state = Signal(32, init=FINAL)
        m.d.sync += part.eq(word_part(word))
        m.d.comb += self.sum.eq(state ^ FINAL)
        before = Signal(32)
        m.d.comb += before.eq(state)
        with m.If(delay(m, first, 1, "first_part")):
            m.d.comb += before.eq(INITIAL)
        with m.If(delay(m, covered, 1, "covered_part")):
            m.d.sync += state.eq(state_part(before, len(word)) ^ part)

        # The CRC's bytes, the first of them lowest; what fills up its rows is not looked at.
        count = -(-TRAILER_BYTES // self.tape_bytes)
        share = word[: 8 * TRAILER_BYTES]
        crc_words = Signal(count * len(share), reset_less=True)
        place = Signal(index_width(count + 1))
        with m.If(stored & (place != count)):
            m.d.sync += [crc_words.eq(Cat(crc_words, share)[len(share) :]), place.eq(place + 1)]
        with m.If(end):
            m.d.sync += place.eq(0)
        right = Signal()
        m.d.comb += right.eq(crc_words[:32] == self.sum)
        judged = delay(m, end, 1, "judged")
        m.d.sync += [
            self.passed.eq(judged & right & ~self.only_read),
            self.crc_error.eq(judged & ~right & ~self.only_read),
            self.been_read.eq(judged & self.only_read),
        ]
