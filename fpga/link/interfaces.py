"""Interfaces between the blocks of the host link, each seen from the block that asks."""

from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.bus import Bus
from taylorvit.rtl.control.description import ADDRESS_WIDTH, DATA_WIDTH

__all__ = ["MemoryBytes", "MemoryWrite", "RegisterAccess", "Reply", "ResultAccess", "SendAccess"]


class MemoryBytes(Bus):
    """The packet demultiplexer gives the bytes of packets to the memory writer.

    Ports:
        data (8 bits): the next byte.
        valid (1 bit): there is one.
        ready (1 bit, back): it is taken; does not wait for `valid`.
        end (1 bit): for one cycle: the packet is complete; two cycles or more after its last byte.
    """

    def __init__(self):
        super().__init__({"data": Out(8), "valid": Out(1), "ready": In(1), "end": Out(1)})


class MemoryWrite(Bus):
    """The memory writer has words written into the memory of tapes.

    Ports:
        valid (1 bit): there is a word to write. It stays until `ready`, unless the link is reset.
        ready (1 bit, back): the word is taken. Address and data stay until then, and longer if the link is reset.
        address (32 bits): of its first byte, a multiple of 4, inside the memory.
        data (32 bits): the word; its lowest byte is the first one.
    """

    def __init__(self):
        super().__init__({"valid": Out(1), "ready": In(1), "address": Out(32), "data": Out(DATA_WIDTH)})


class RegisterAccess(Bus):
    """The command engine accesses a register of the accelerator.

    Ports:
        start (1 bit): for one cycle: carry out an access.
        write (1 bit): it is a write; constant from `start` to `done`, like the next two.
        address (ADDRESS_WIDTH bits): byte address of the register.
        write_data (DATA_WIDTH bits): the word to write.
        done (1 bit, back): the register has answered; it stays until `taken`, like the next two.
        error (1 bit, back): the register refused the access.
        read_data (DATA_WIDTH bits, back): the word that was read.
        taken (1 bit): for one cycle: the answer is no longer needed.
    """

    def __init__(self):
        super().__init__(
            {
                "start": Out(1),
                "write": Out(1),
                "address": Out(ADDRESS_WIDTH),
                "write_data": Out(DATA_WIDTH),
                "done": In(1),
                "error": In(1),
                "read_data": In(DATA_WIDTH),
                "taken": Out(1),
            }
        )


class SendAccess(Bus):
    """The command engine puts the bytes of a frame into the send buffer, and commits them or not.

    Args:
        depth (int): bytes of the buffer.
        frame_max (int): most bytes of a frame.

    Ports:
        start (1 bit): a frame begins; what was written and not committed is forgotten.
        write (1 bit): a byte of it, two cycles or more after `start` and after the byte before.
        write_data (8 bits): the byte.
        size (range(frame_max + 1), back): bytes of the frame so far.
        no_space (1 bit, back): not all of them found space.
        commit (1 bit): the frame becomes part of the stream; not if `no_space`, and two cycles or more after its last
            byte.
        next_offset (32 bits, back): bytes committed since reset, modulo 2^32.
        free (range(depth + 1), back): bytes that fit.
    """

    def __init__(self, *, depth, frame_max):
        super().__init__(
            {
                "start": Out(1),
                "write": Out(1),
                "write_data": Out(8),
                "size": In(range(frame_max + 1)),
                "no_space": In(1),
                "commit": Out(1),
                "next_offset": In(32),
                "free": In(range(depth + 1)),
            }
        )


class ResultAccess(Bus):
    """The command engine reads results from the result buffer, from any offset that is still kept.

    Args:
        depth (int): bytes of the buffer.

    Ports:
        offset (32 bits, back): offset of the oldest byte, counted since reset, modulo 2^32.
        available (range(depth + 1), back): bytes from there on.
        seek (1 bit): give up the bytes before `seek_offset`, and read from there.
        seek_offset (32 bits): at most `available` beyond `offset`.
        read_data (8 bits, back): the next byte, `ResultBuffer.latency` cycles after `seek` or `read`.
        read (1 bit): the byte is taken, the next one follows.
    """

    def __init__(self, *, depth):
        super().__init__(
            {
                "offset": In(32),
                "available": In(range(depth + 1)),
                "seek": Out(1),
                "seek_offset": Out(32),
                "read_data": In(8),
                "read": Out(1),
            }
        )


class Reply(Bus):
    """The command engine has an answer sent by the frame sender.

    Args:
        payload_max (int): most bytes of a payload.

    Ports:
        start (1 bit): for one cycle: send a frame.
        kind (8 bits): type of the frame, constant from `start` to `done`, like the next two.
        tag (8 bits): its tag.
        length (range(payload_max + 1)): bytes of its payload, not 0.
        payload (8 bits): the next byte of the payload.
        advance (1 bit, back): the byte was taken; the next one follows within `FrameCrc.latency` cycles.
        done (1 bit, back): for one cycle: the last byte of the frame has been given to the UART.
    """

    def __init__(self, *, payload_max):
        super().__init__(
            {
                "start": Out(1),
                "kind": Out(8),
                "tag": Out(8),
                "length": Out(range(payload_max + 1)),
                "payload": Out(8),
                "advance": In(1),
                "done": In(1),
            }
        )
