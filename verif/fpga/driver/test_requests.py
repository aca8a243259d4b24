"""Requests in flight: their order, their room, and what is taken for lost; at a port that answers what a test says."""

import pytest

from taylorvit.fpga.driver import LinkTimeout, Port, ProtocolError
from taylorvit.fpga.driver.requests import Requests, name_of_status
from taylorvit.fpga.protocol import OVERHEAD_BYTES, REPLY, Frame, FrameDecoder, FrameType, Status


class Line(Port):
    """A port whose answers are queued by the test; time goes on only where nothing comes."""

    name = "line"
    baud = 1_000_000

    def __init__(self):
        self.sent = []
        self.coming = b""
        self.time = 0.0

    def write(self, data):
        self.sent += FrameDecoder().feed(data)

    def read(self, timeout):
        data, self.coming = self.coming, b""
        if not data:
            self.time += timeout
        return data

    def now(self):
        return self.time

    def close(self):
        pass

    def answer(self, request, status=Status.OK, data=b""):
        self.coming += Frame(request.kind | REPLY, request.tag, bytes([status]) + data).encode()


@pytest.fixture
def line():
    return Line()


def status_requests(requests, count):
    return [requests.submit(FrameType.STATUS, b"", 1, purpose=number) for number in range(count)]


def test_answers_come_in_the_order_of_the_requests(line):
    requests = Requests(line)
    sent = status_requests(requests, 3)
    assert [frame.tag for frame in line.sent] == [request.tag for request in sent]
    for request in sent:
        line.answer(request, data=bytes([request.purpose]))
    assert requests.collect() == [(request, bytes([Status.OK, request.purpose])) for request in sent]
    assert requests.statistics.lost == 0 and requests.statistics.requests == 3


def test_room_is_the_receive_buffer_in_whole_frames(line):
    requests = Requests(line)
    assert requests.has_room(1000)  # with nothing in flight, whatever its size
    address = bytes(2)
    for _request in range(64 // (OVERHEAD_BYTES + len(address))):  # the board has not stated a larger buffer
        assert requests.has_room(len(address))
        requests.submit(FrameType.READ, address, 5)
    assert not requests.has_room(len(address))


def test_later_answer_means_that_earlier_requests_are_lost(line):
    requests = Requests(line)
    first, second, third = status_requests(requests, 3)
    line.answer(second)
    assert requests.collect() == [(first, None), (second, bytes([Status.OK]))]
    line.answer(third)
    assert requests.collect() == [(third, bytes([Status.OK]))]
    assert requests.statistics.lost == 1


@pytest.mark.parametrize("status", [Status.BAD_CRC, Status.STALLED, Status.BAD_HEADER])
def test_damaged_request_is_lost(line, status):
    requests = Requests(line)
    (request,) = status_requests(requests, 1)
    line.answer(request, status)
    assert requests.collect() == [(request, None)]


def test_complaint_without_a_request_means_the_oldest(line):
    requests = Requests(line)
    first, second = status_requests(requests, 2)
    line.coming = Frame(FrameType.ERROR, 0, bytes([Status.BAD_HEADER])).encode()
    assert requests.collect() == [(first, None)]
    line.answer(second)
    assert requests.collect() == [(second, bytes([Status.OK]))]
    assert requests.statistics.complaints == 1


def test_silence_loses_everything_and_then_ends(line):
    requests = Requests(line)
    for _wait in range(5):
        sent = status_requests(requests, 2)
        assert requests.collect() == [(request, None) for request in sent]
    status_requests(requests, 1)
    with pytest.raises(LinkTimeout, match="^line does not answer: STATUS was sent 6 times in vain$"):
        requests.collect()


def test_answer_to_nothing_is_counted_and_ignored(line):
    requests = Requests(line)
    (request,) = status_requests(requests, 1)
    line.answer(request)
    line.answer(request)
    assert len(requests.collect()) == 1
    (other,) = status_requests(requests, 1)
    line.answer(other)
    assert len(requests.collect()) == 1
    assert requests.statistics.unexpected == 1


@pytest.mark.parametrize(
    "payload, message",
    [
        (b"", "answer to STATUS must begin with a status, not be empty"),
        (bytes([Status.UNKNOWN_TYPE]), "line does not understand STATUS: UNKNOWN_TYPE"),
    ],
)
def test_answer_that_cannot_be(line, payload, message):
    requests = Requests(line)
    (request,) = status_requests(requests, 1)
    line.coming = Frame(request.kind | REPLY, request.tag, payload).encode()
    with pytest.raises(ProtocolError, match=f"^{message}$"):
        requests.collect()


def test_abandoned_requests_are_not_returned(line):
    requests = Requests(line)
    abandoned = status_requests(requests, 2)
    requests.abandon()
    (request,) = status_requests(requests, 1)
    for each in (*abandoned, request):
        line.answer(each)
    assert requests.collect() == [(request, bytes([Status.OK]))]


def test_name_of_a_status():
    assert (name_of_status(0), name_of_status(200)) == ("OK", "200")
