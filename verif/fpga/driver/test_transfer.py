"""Transfers: nothing is lost over a bad line, the line is what limits over a good one, and a hang is an error."""

import random

import pytest

from taylorvit.fpga.driver import BoardReset, JobError, Link, LinkTimeout, PortError, ProtocolError, Transfer
from taylorvit.fpga.protocol import FrameType, Status
from taylorvit.rtl.config import AcceleratorConfig
from verif.fpga.board_model import BoardModel, Faults

CONFIG = AcceleratorConfig(name="small", rows=4, columns=4, max_tokens=16, max_head_dim=8)
BAUD = 3_000_000
TURN_AROUND = 0.002  # seconds: a USB adapter and its driver


class Echo(BoardModel):
    """A board whose accelerator gives back one byte of three, as it takes them: the data rates of attention."""

    def __init__(self, **arguments):
        super().__init__(CONFIG, **arguments)
        self.stopped = False
        self._phase = 0

    def _move_data(self, moment):
        room = self.identification.result_bytes - len(self._results)
        while self._send_buffer and room > 0 and not self.stopped:
            if self._phase % 3 == 0:
                self._results.append(self._send_buffer[0])
                room -= 1
            self._phase += 1
            del self._send_buffer[0]


def open_link(board: BoardModel) -> Link:
    link = Link(board)
    link.identify()
    link.reset()
    return link


def transfer(board: BoardModel, count: int, *, link: Link | None = None, seed: int = 1) -> Link:
    """Send random bytes and compare every third with what comes back."""
    link = open_link(board) if link is None else link
    tensors = random.Random(seed).randbytes(count)
    progress = []
    results = Transfer(link, tensors, -(-count // 3), possible=lambda arrived: arrived // 3 + (arrived == count),
                       on_results=progress.append).run()  # fmt: skip
    assert results == tensors[::3]
    assert progress == sorted(progress) and progress[-1] == len(results)
    return link


def test_line_is_the_limit():
    """At 3 Mbaud and a turn-around of 2 ms, 90 % of what the line could carry, and of what it carries, is payload."""
    board = Echo(baud=BAUD, turn_around=TURN_AROUND)
    link = open_link(board)
    count, start, sent = 300_000, board.now(), link.statistics.sent_bytes
    transfer(board, count, link=link)
    share_of_time = count / ((board.now() - start) * BAUD / 10)
    share_of_bytes = count / (link.statistics.sent_bytes - sent)
    print(f"payload: {share_of_time:.1%} of the line's time, {share_of_bytes:.1%} of its bytes")
    assert share_of_time >= 0.9
    assert share_of_bytes >= 0.9
    assert link.statistics.lost == 0
    assert board.overflows == 0


@pytest.mark.parametrize("kind", ["bit_error", "loss", "garbage"])
@pytest.mark.parametrize("direction", ["to_board", "to_host"])
def test_nothing_is_lost(direction, kind):
    faults = Faults(**{kind: 0.0005}, seed=5)
    link = transfer(Echo(**{direction: faults}), 40_000)
    assert faults.happened > 5
    assert link.statistics.lost > 2


def test_nothing_is_lost_when_everything_happens_at_once():
    faults = [Faults(bit_error=0.001, loss=0.0005, garbage=0.001, seed=seed) for seed in (7, 8)]
    board = Echo(to_board=faults[0], to_host=faults[1])
    link = transfer(board, 24_000)
    assert all(each.happened > 10 for each in faults)
    assert board.overflows == 0
    transfer(board, 5_000, link=link, seed=2)  # and the link is as good as new


@pytest.mark.parametrize(
    "sizes",
    [
        {"receive_bytes": 64, "send_bytes": 16, "result_bytes": 16, "payload_max": 16},
        {"receive_bytes": 128, "send_bytes": 2048, "result_bytes": 64, "payload_max": 32},
        {"receive_bytes": 4096, "send_bytes": 512, "result_bytes": 4096, "payload_max": 2048},
    ],
    ids=["tiny", "small", "large"],
)
def test_other_sizes_of_buffers(sizes):
    board = Echo(to_board=Faults(bit_error=0.0002, seed=9), **sizes)
    transfer(board, 6_000)
    assert board.overflows == 0


def test_full_send_buffer_is_waited_for():
    """The accelerator rests for a second: no byte is sent that has no room, and then everything goes on."""
    board = Echo()
    link = open_link(board)
    move, began = board._move_data, board.now()

    def rest(moment):
        if moment - began > 1.0:
            move(moment)

    board._move_data = rest
    refused = count_refusals(board, Status.NO_SPACE)
    transfer(board, 20_000, link=link)
    assert 1.0 < board.now() - began < 1.2
    assert refused == []
    assert link.statistics.lost == 0


def test_refused_bytes_are_sent_again():
    """A board that takes less than it said: what does not fit is refused, and comes again."""
    board = Echo(send_bytes=512)
    link = open_link(board)
    refused = count_refusals(board, Status.NO_SPACE)
    link.free_until = 4096  # as if it had said so
    board._move_data = lambda moment: moment > 0.05 and Echo._move_data(board, moment)
    transfer(board, 5_000, link=link)
    assert refused


def count_refusals(board, status):
    refusals, answer_to = [], board._answer_to

    def watched(kind, tag, payload):
        answer = answer_to(kind, tag, payload)
        refusals.extend([kind] * (answer[0] == status))
        return answer

    board._answer_to = watched
    return refusals


def test_offsets_wrap():
    board = Echo()
    link = open_link(board)
    start = (1 << 32) - 1_000
    link.next_offset = link.result_offset = board.next_offset = board.result_offset = start
    link.free_until = start + 2048
    transfer(board, 6_000, link=link)
    assert link.next_offset == start + 6_000


def test_stop_is_an_error():
    board = Echo()
    board.stopped, board.stall = True, 0.5
    link = open_link(board)
    with pytest.raises(
        JobError,
        match=r"model took 1,\d{3} of 9,000 bytes and gave 0 of 3,000, then nothing moved "
        r"for 0.5 s",
    ):
        Transfer(link, bytes(9_000), 3_000, possible=lambda arrived: arrived // 3).run()
    assert link.status().next_offset > 1_500  # the link itself still works


def test_reset_in_the_middle_is_an_error():
    board = Echo()
    link = open_link(board)

    def cut(count):
        if count > 500:
            board.power_cycle()

    with pytest.raises(BoardReset, match="board on model was reset during the transfer and has lost the "):
        Transfer(link, bytes(9_000), 3_000, possible=lambda arrived: arrived // 3, on_results=cut).run()


@pytest.mark.parametrize(
    "fault, error, text",
    [
        ("unplugged", PortError, "model is gone"),
        ("mute", LinkTimeout, "model does not answer"),
    ],
)
def test_disconnection_is_an_error(fault, error, text):
    board = Echo()
    link = open_link(board)
    with pytest.raises(error, match=text):
        Transfer(link, bytes(9_000), 3_000, possible=lambda arrived: arrived // 3,
                 on_results=lambda count: count > 500 and setattr(board, fault, True)).run()  # fmt: skip


@pytest.mark.parametrize(
    "kind, answer, problem",
    [
        (FrameType.SEND, bytes(3), "answer to SEND must have 7 bytes, not 3"),
        (FrameType.RECEIVE, bytes(2), "answer to RECEIVE must be OK and an offset, not 0000"),
        (FrameType.RECEIVE, bytes(5) + bytes(1000), "answer to RECEIVE of "),
        (FrameType.RECEIVE, b"\x00\x01\x00\x00\x00", "from 0 on must be these, not 0 from 1 on"),
        (FrameType.STATUS, bytes(5), "answer to STATUS: status must have 17 bytes, not 4"),
    ],
)
def test_impossible_answers_are_errors(kind, answer, problem):
    board = Echo()
    link = open_link(board)
    board.stopped = kind is FrameType.STATUS  # so that the transfer asks for it
    answer_to = board._answer_to
    board._answer_to = lambda found, tag, payload: answer if found == kind else answer_to(found, tag, payload)
    with pytest.raises(ProtocolError, match=problem):
        Transfer(link, bytes(9_000), 3_000, possible=lambda arrived: arrived // 3).run()
