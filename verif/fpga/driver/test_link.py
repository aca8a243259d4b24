"""The link: every request answered, whatever the line does; what cannot be answered ends in one clear error."""

import re

import pytest

from taylorvit.fpga.driver import DriverError, Link, LinkTimeout, PortError, ProtocolError, WrongBoard
from taylorvit.fpga.protocol import Frame, FrameType
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.control.registers import IDENTIFICATION, register_map
from verif.fpga.board_model import BoardModel, Faults

CONFIG = AcceleratorConfig(name="small", rows=4, columns=4, max_tokens=16, max_head_dim=8)
REGISTERS = register_map(CONFIG)
TOKENS, TIMEOUT = REGISTERS["TOKENS"].offset, REGISTERS["TIMEOUT"].offset


def identified(board: BoardModel) -> Link:
    link = Link(board)
    link.identify()
    return link


def test_requests_are_answered():
    board = BoardModel(CONFIG)
    link = identified(board)
    assert link.identification == board.identification
    link.reset()
    assert link.read([REGISTERS["ID"].offset, 0xFFC]) == [IDENTIFICATION, None]
    assert link.write(TOKENS, 7) and link.read([TOKENS]) == [7]
    assert not link.write(REGISTERS["ID"].offset, 7)
    assert link.write_parameters([(TOKENS, 5), (TIMEOUT, 6), (TOKENS, 0)]) == [TOKENS]
    assert link.read([TOKENS, TIMEOUT]) == [5, 6]
    assert link.status().free == board.identification.send_bytes
    assert (link.statistics.lost, link.statistics.unexpected) == (0, 0)


@pytest.mark.parametrize("kind", ["bit_error", "loss", "garbage"])
@pytest.mark.parametrize("direction", ["to_board", "to_host"])
def test_every_write_is_executed_once(direction, kind):
    """300 writes of increasing values: more than there are tags, over a line that spoils every tenth frame or more."""
    faults = Faults(**{kind: 0.01}, seed=3)
    board = BoardModel(CONFIG, **{direction: faults})
    link = identified(board)
    link.reset()
    values = range(1, 301)
    for value in values:
        assert link.write(TIMEOUT, value)
        assert link.read([TIMEOUT]) == [value]
    assert [data for _name, data in board.executed_writes] == list(values)
    assert faults.happened > 20 and link.statistics.lost > 10


def test_new_write_is_never_taken_for_a_repetition():
    board = BoardModel(CONFIG)
    link = identified(board)
    link.reset()
    for reads in range(250, 260):  # so that tags come round to that of the write before
        assert link.write(TIMEOUT, reads)
        link.read([TIMEOUT] * reads)
    assert [data for _name, data in board.executed_writes] == list(range(250, 260))


def test_requests_are_sent_ahead_within_the_receive_buffer():
    """100 reads over a turn-around of 20 ms are far faster than one after the other, and nothing overflows."""
    board = BoardModel(CONFIG, turn_around=0.02, receive_bytes=256)
    link = identified(board)
    start = board.now()
    assert link.read([REGISTERS["ID"].offset] * 100) == [IDENTIFICATION] * 100
    assert board.now() - start < 100 * 0.02 / 10
    assert board.overflows == 0


def test_stalled_frame_costs_one_repetition():
    board = BoardModel(CONFIG)
    link = identified(board)
    board.write(Frame(FrameType.WRITE, 9, bytes(6)).encode()[:11])  # a program that was killed
    assert link.read([TIMEOUT]) == [REGISTERS["TIMEOUT"].reset]
    assert link.statistics.lost <= 2


def test_silent_board_is_an_error():
    board = BoardModel(CONFIG)
    board.mute = True
    with pytest.raises(
        LinkTimeout,
        match=r"^model does not answer: IDENTIFY was sent 6 times in vain; is the board's "
        r"bitstream loaded, and is 3000000 its baud\?$",
    ):
        Link(board).identify()
    assert board.now() < 5


def test_line_that_loses_nearly_everything_is_an_error():
    board = BoardModel(CONFIG, to_host=Faults(bit_error=0.3))
    with pytest.raises(
        LinkTimeout,
        match=r"does not answer: IDENTIFY was sent 6 times in vain, \d+ bytes came that "
        r"are no answer|loses too much",
    ):
        Link(board).identify()


def test_damaged_payloads_without_end_are_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    link = identified(board)
    monkeypatch.setattr(board, "_carry_out", lambda payload, moment: BoardModel._carry_out(board, None, moment))
    with pytest.raises(LinkTimeout, match="model loses too much: READ was sent 20 times without an intact answer"):
        link.read([0])


def test_unplugged_port_is_an_error():
    board = BoardModel(CONFIG)
    link = identified(board)
    board.unplugged = True
    with pytest.raises(PortError, match="model is gone: it was unplugged"):
        link.status()


def test_other_protocol_version_is_an_error():
    with pytest.raises(WrongBoard, match="protocol of the bitstream on model must be of version 1, not 2"):
        Link(BoardModel(CONFIG, protocol=2)).identify()


@pytest.mark.parametrize(
    "answer, problem",
    [
        (b"", "answer to READ must begin with a status, not be empty"),
        (b"\x02", "model does not understand READ: BAD_LENGTH"),
        (b"\x03", "model does not understand READ: UNKNOWN_TYPE"),
        (b"\x63", "status of READ must be OK, not 99"),
        (b"\x00\x01", "answer must have 4 bytes behind its status, not 1"),
    ],
)
def test_impossible_answers_are_errors(monkeypatch, answer, problem):
    board = BoardModel(CONFIG)
    link = identified(board)
    monkeypatch.setattr(board, "_answer_to", lambda kind, tag, payload: answer)
    with pytest.raises(ProtocolError, match=re.escape(problem)):
        link.read([0])


def test_errors_are_driver_errors():
    for error in (LinkTimeout, PortError, ProtocolError, WrongBoard):
        assert issubclass(error, DriverError) and issubclass(error, RuntimeError)
