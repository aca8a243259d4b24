"""`TaylorVitNetwork` at the model of a board: tapes arrive whatever happens, logits are right, all else is an error."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from taylorvit.fpga.driver import (
    BoardReset,
    DriverError,
    JobError,
    LinkTimeout,
    RegisterError,
    TaylorVit,
    TaylorVitNetwork,
    WrongBoard,
)
from taylorvit.rtl.config import AcceleratorConfig
from taylorvit.rtl.network.command import HEADER_BYTES, MAGIC, VERSION
from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.control.host_view import NetworkView
from verif.fpga import network_model
from verif.fpga.board_model import BoardModel, Faults
from verif.fpga.driver.endings import every_ending
from verif.fpga.network_model import mixed_logits

CONFIG = NetworkConfig(
    name="small", rows=4, columns=4, max_tokens=17, max_width=32, max_hidden=64, max_patch=9, max_classes=10,
    max_heads=2, max_head_dim=16, tape_source="memory", tape_memory_bytes=1 << 18, image_lanes=2,
)  # fmt: skip
SIZES = {"patches": 16, "patch_pixels": 9, "classes": 10}
BEATS = 16 * 5  # a patch of 9 pixels has 5 beats of 2


def tape_of(size, config=CONFIG, seed=1):
    """A tape by its header; the rest is noise."""
    header = bytearray(HEADER_BYTES)
    header[0:4], header[4:6] = MAGIC.to_bytes(4, "little"), VERSION.to_bytes(2, "little")
    header[8:16], header[16:20] = config.tape_hash.to_bytes(8, "little"), size.to_bytes(4, "little")
    return bytes(header) + np.random.default_rng(seed).bytes(size - HEADER_BYTES)


def images_of(count, seed=2):
    return np.random.default_rng(seed).integers(0, 256, (count, BEATS, 2), dtype=np.uint8)


def expected(images, tape, classes=10):
    return np.stack([mixed_logits(image.tobytes(), tape, classes) for image in images]).astype(np.int64)


def memory(board):
    return board._accelerator.memory


TAPE = tape_of(9_004)  # no multiple of a chunk; the columns are 4


def test_tape_images_and_logits():
    board = BoardModel(CONFIG)
    sent, progress, came = [], [], {}
    with TaylorVitNetwork(board, board="model", config=CONFIG) as accelerator:
        assert accelerator.view == NetworkView.of(CONFIG)
        report = accelerator.load(TAPE, on_progress=lambda done, total: sent.append((done, total)))
        assert (report.sent_bytes, report.kept_bytes) == (len(TAPE), 0)
        assert memory(board)[: len(TAPE)] == TAPE
        assert sent == sorted(sent) and sent[-1][0] == sent[-1][1] >= len(TAPE)
        images = images_of(5)
        for _time in range(2):
            result = accelerator.run(images, **SIZES, on_progress=progress.append, on_logits=came.__setitem__)
            np.testing.assert_array_equal(result.logits, expected(images, TAPE))
        assert progress == [1, 2, 3, 4, 5] * 2
        np.testing.assert_array_equal(np.stack([came[index] for index in range(5)]), result.logits)
        (job,) = result.jobs
        assert (job.images, job.events, job.counters["IMAGES_DONE"]) == (5, {"DONE"}, 5)


def test_more_images_than_a_job_has(monkeypatch):
    from taylorvit.rtl.network.control import registers

    monkeypatch.setattr(registers, "IMAGES_WIDTH", 2)
    with TaylorVitNetwork(BoardModel(CONFIG)) as accelerator:
        accelerator.load(TAPE)
        images, progress = images_of(7), []
        result = accelerator.run(images, **SIZES, on_progress=progress.append)
        np.testing.assert_array_equal(result.logits, expected(images, TAPE))
        assert [job.images for job in result.jobs] == [3, 3, 1]
        assert progress == list(range(1, 8))


def test_everything_is_known_from_the_registers():
    with TaylorVitNetwork(BoardModel(CONFIG)) as accelerator:
        assert accelerator.view == replace(NetworkView.of(CONFIG), name="hardware")
        accelerator.load(TAPE)
        np.testing.assert_array_equal(accelerator.run(images_of(2), **SIZES).logits, expected(images_of(2), TAPE))


@pytest.mark.parametrize(("counters", "names"), [("none", set()), ("cycles", {"CYCLES", "IMAGES_DONE"})])
def test_accelerator_that_counts_less(counters, names):
    config = replace(CONFIG, counters=counters, error_count_width=0)
    board = BoardModel(config)
    with TaylorVitNetwork(board, board="model", config=config) as accelerator:
        accelerator.load(TAPE)
        result = accelerator.run(images_of(2), **SIZES)
        np.testing.assert_array_equal(result.logits, expected(images_of(2), TAPE))
        assert set(result.jobs[0].counters) == names
        board.results_withheld, board.stall = True, 0.2
        done = "images done 0, " * bool(names)
        with pytest.raises(JobError, match=f"for 0.2 s; the accelerator runs, {done}events: none$"):
            accelerator.run(images_of(2), **SIZES)


def test_raster_order():
    config = replace(CONFIG, image_lanes=1)
    board = BoardModel(config)
    with TaylorVitNetwork(board) as accelerator:
        tape = tape_of(1_000, config)
        accelerator.load(tape)
        images = np.random.default_rng(3).integers(0, 256, (2, 16 * 9, 1), dtype=np.uint8)
        result = accelerator.run(images, **SIZES, raster=(3, 4))
        np.testing.assert_array_equal(result.logits, expected(images, tape))
        assert accelerator.read_all(["IMAGE_ORDER", "PATCH_SIZE", "PATCHES_A_ROW"]) == {
            "IMAGE_ORDER": 1, "PATCH_SIZE": 3, "PATCHES_A_ROW": 4,
        }  # fmt: skip


# Tapes


def test_tape_that_is_there_is_not_sent_again():
    board = BoardModel(CONFIG)
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(TAPE)
    board.closed, written = False, board._accelerator.written_bytes
    with TaylorVitNetwork(board) as accelerator:
        report = accelerator.load(TAPE, on_progress=lambda done, total: pytest.fail("nothing is to be sent"))
        assert (report.sent_bytes, report.kept_bytes) == (0, len(TAPE))
        assert board._accelerator.written_bytes == written
        accelerator.run(images_of(1), **SIZES)


LONG = tape_of((3 << 16) + 40)  # the last 40 bytes are fewer than the shortest tape


def test_only_chunks_that_differ_are_sent():
    board = BoardModel(CONFIG)
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(LONG)
        memory(board)[70_000] ^= 1
        report = accelerator.load(LONG)
        assert (report.sent_bytes, report.kept_bytes) == (1 << 16, (2 << 16) + 40)
        memory(board)[len(LONG) - 1] ^= 1
        assert accelerator.load(LONG).sent_bytes == (1 << 16) + 40
        assert memory(board)[: len(LONG)] == LONG


@pytest.mark.parametrize(
    "happens, error",
    [
        (lambda board: setattr(board, "mute", True), LinkTimeout),
        (lambda board: board.power_cycle(), BoardReset),
        (lambda board: 1 / 0, ZeroDivisionError),
    ],
    ids=["mute", "reset", "program"],
)
def test_interrupted_transfer_goes_on(happens, error):
    """Two of three chunks are there, the third in part: only that is sent again."""
    board = BoardModel(CONFIG)

    def interrupt(done, total):
        if done > 150_000:
            happens(board)

    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(error):
            accelerator.load(LONG, on_progress=interrupt)
        board.mute = False
        report = accelerator.load(LONG)
        assert 0 < report.sent_bytes <= (1 << 16) + 40
        np.testing.assert_array_equal(accelerator.run(images_of(2), **SIZES).logits, expected(images_of(2), LONG))


def test_power_failure_costs_the_tape_only():
    board = BoardModel(CONFIG)
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(TAPE)
        board.power_cycle()
        board._accelerator.forget()
        assert accelerator.load(TAPE).sent_bytes == len(TAPE)


def test_bad_line_changes_nothing():
    board = BoardModel(CONFIG, to_board=Faults(bit_error=0.001, seed=1), to_host=Faults(loss=0.001, seed=2))
    images = images_of(6)
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(TAPE)
        for _time in range(2):
            np.testing.assert_array_equal(accelerator.run(images, **SIZES).logits, expected(images, TAPE))
        assert accelerator.link.statistics.lost > 5
    assert [value for name, value in board.executed_writes if name == "CONTROL" and value == 1] == [1, 1]


def test_word_that_is_lost_in_the_board_is_sent_again(monkeypatch):
    """What the link cannot notice: its bytes have arrived, but one is wrong in the memory."""
    board = BoardModel(CONFIG)
    take = board._accelerator._take_words
    spoiled = []

    def spoil_once(buffer, length):
        taken = take(buffer, length)
        if not spoiled and board._accelerator.written_bytes > 5_000:
            spoiled.append(True)
            memory(board)[4_000] ^= 0x10
        return taken

    monkeypatch.setattr(board._accelerator, "_take_words", spoil_once)
    with TaylorVitNetwork(board) as accelerator:
        assert accelerator.load(TAPE).sent_bytes == 2 * len(TAPE)
        assert memory(board)[: len(TAPE)] == TAPE


def test_memory_that_does_not_keep_a_tape_is_an_error():
    board = BoardModel(CONFIG)
    board._accelerator.stuck_bits[TAPE.index(0)] = 1
    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(JobError, match="^memory of model does not keep the tape: after 3 attempts its CRC still"):
            accelerator.load(TAPE)
        with pytest.raises(ValueError, match="^cannot classify images on model: no tape is loaded; call load first$"):
            accelerator.run(images_of(1), **SIZES)


OTHER = replace(CONFIG, max_width=16)


@pytest.mark.parametrize(
    "tape, text",
    [
        (b"TViT", "tape must be a tape of at least 32 bytes, not of 4"),
        (b"x" + TAPE[1:], "tape: magic of the tape must be 0x54695654, not 0x54695678"),
        (TAPE[:-4], "tape must have 9,004 bytes, as its header says, not 9,000"),
        (
            tape_of(9_000, OTHER),
            f"tape must be a tape for the configuration of hardware, {CONFIG.tape_hash:#018x}, not for "
            f"{OTHER.tape_hash:#018x}: compile the model for it",
        ),
        (
            tape_of((1 << 18) + 4),
            "tape must have at most 262,144 bytes, which the memory of hardware has (tape_memory_bytes), not 262,148",
        ),
    ],
    ids=["short", "magic", "length", "configuration", "long"],
)
def test_tape_for_another_accelerator_is_refused(tape, text):
    board = BoardModel(CONFIG)
    with TaylorVitNetwork(board) as accelerator, pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        accelerator.load(tape)
    assert board._accelerator.written_bytes == 0


def test_accelerator_without_memory_is_refused():
    config = replace(CONFIG, tape_source="stream", tape_memory_bytes=0)
    with TaylorVitNetwork(BoardModel(config)) as accelerator:
        with pytest.raises(WrongBoard, match="must have a memory for tapes that the link can fill, not take them from"):
            accelerator.load(tape_of(9_000, config))


@pytest.mark.parametrize(
    ("address", "count", "text"),
    [
        (1, 100, "^address and count must be multiples of 2, the bytes of a word of the tape, not 1 and 100$"),
        (0, 101, "^address and count must be multiples of 2, the bytes of a word of the tape, not 0 and 101$"),
        (9_998, 200, "^bytes must be in the memory of 10,000 bytes, not 200 from 9,998 on$"),
        (10_000, 200, "^bytes must be in the memory of 10,000 bytes, not 200 from 10,000 on$"),
        (0, 2, r"^TAPE_LENGTH must be in \d+\.\.10000 in register TAPE_LENGTH, not 2$"),
    ],
)
def test_sum_is_of_whole_words_in_the_memory(address, count, text):
    config = replace(CONFIG, tape_memory_bytes=10_000, tape_width=16)
    board = BoardModel(config)
    with TaylorVitNetwork(board) as accelerator:
        assert accelerator.memory.sum(9_800, 200) == zlib.crc32(bytes(memory(board)[9_800:10_000]))
        with pytest.raises(ValueError, match=text):
            accelerator.memory.sum(address, count)


def test_memory_that_cannot_be_read_is_an_error():
    board = BoardModel(CONFIG)
    board.events_to_raise.add("TAPE_TIMEOUT")
    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(JobError, match="^memory of tapes of model cannot be read: events TAPE_TIMEOUT$"):
            accelerator.load(TAPE)


def test_check_that_does_not_end_is_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    board.stall = 0.2
    monkeypatch.setattr(board._accelerator, "_end_check", lambda: None)
    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(JobError, match="^check of the tape on model did not end; reset the accelerator$"):
            accelerator.load(TAPE)


def test_reset_during_a_check_is_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    monkeypatch.setattr(board._accelerator, "_end_check", board.power_cycle)
    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(BoardReset, match="^board on model was reset while it checked the tape$"):
            accelerator.load(TAPE)


def test_memory_that_takes_nothing_is_an_error(monkeypatch):
    board = BoardModel(CONFIG)
    board.stall = 0.2
    monkeypatch.setattr(board._accelerator, "take", lambda buffer, moment: False)
    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(JobError, match="^memory of tapes of model does not take what is written to it$"):
            accelerator.load(tape_of(1_000))
        with pytest.raises(JobError, match=r"^model took [\d,]+ of 9,012 bytes .* then nothing moved for 0.2 s$"):
            accelerator.load(TAPE)


# Test of the memory


def test_good_memory_passes():
    config = replace(CONFIG, tape_memory_bytes=10_000)
    board, progress = BoardModel(config), []
    with TaylorVitNetwork(board) as accelerator:
        report = accelerator.test_memory(on_progress=lambda done, total: progress.append((done, total)))
        assert (report.tested_bytes, report.errors, report.first) == (10_000, 0, None)
        assert board._accelerator.written_bytes == 20_000
        assert progress == sorted(progress) and progress[-1][0] == progress[-1][1]
        with pytest.raises(ValueError, match="no tape is loaded"):
            accelerator.run(images_of(1), **SIZES)


def test_bad_memory_is_found():
    """Whatever the value of a bit that sticks, one of the two patterns differs there."""
    config = replace(CONFIG, tape_memory_bytes=10_000)
    board = BoardModel(config)
    board._accelerator.stuck_bits |= {3_000: 1, 3_001: 1, 9_999: 0x80}
    with TaylorVitNetwork(board) as accelerator:
        report = accelerator.test_memory()
        assert (report.errors, report.first, report.piece) == (2, 2048, 1024)


# Memory beside the FPGA

OUTSIDE = replace(CONFIG, name="outside", tape_source="axi", tape_memory_bytes=0)


def test_tape_beside_the_fpga():
    board = BoardModel(OUTSIDE)
    tape, images = tape_of(100_000, OUTSIDE), images_of(2)
    with TaylorVitNetwork(board) as accelerator:
        assert accelerator.load(tape).sent_bytes == len(tape)
        np.testing.assert_array_equal(accelerator.run(images, **SIZES).logits, expected(images, tape))
        assert accelerator.load(tape).sent_bytes == 0
        with pytest.raises(
            ValueError, match="^tape must have at most 262,144 bytes, which the memory of hardware has, "
        ):
            accelerator.load(tape_of((1 << 18) + 4, OUTSIDE))


def test_memory_beside_the_fpga_is_tested_by_the_board():
    board, progress = BoardModel(OUTSIDE), []
    with TaylorVitNetwork(board) as accelerator:
        report = accelerator.test_memory(on_progress=lambda done, total: progress.append((done, total)))
        assert (report.tested_bytes, report.errors, report.first) == (1 << 18, 0, None)
        assert report.seconds > 0.02 and progress == [(0, 1), (1, 1)]
        board._accelerator.stuck_bits |= {4_000: 1, 8_000: 1}
        report = accelerator.test_memory()
        assert (report.errors, report.first, report.piece) == (2, 4_000, OUTSIDE.tape_bytes)
        assert accelerator.link.write(0x80C, 1)
        with pytest.raises(RegisterError, match="^model refuses a test of its memory: one runs$"):
            accelerator.test_memory()


@pytest.mark.parametrize("call", [lambda it: it.load(tape_of(1_000, OUTSIDE)), lambda it: it.test_memory()])
def test_board_without_that_memory_is_an_error(call):
    board = BoardModel(OUTSIDE)
    with TaylorVitNetwork(board) as accelerator:
        board._accelerator.of_memory.clear()
        with pytest.raises(WrongBoard, match="not read them from one that the board's registers do not know$"):
            call(accelerator)


def test_reset_during_a_test_of_the_memory_is_an_error():
    board = BoardModel(OUTSIDE)
    with TaylorVitNetwork(board) as accelerator:
        status, reads = accelerator.memory._status, []

        def reset_at_the_third(bit):
            reads.append(bit)
            if len(reads) == 3:
                board.power_cycle()
            return status(bit)

        accelerator.memory._status = reset_at_the_third
        with pytest.raises(BoardReset, match="^board on model was reset while it tested its memory$"):
            accelerator.test_memory()


def test_memory_that_does_not_become_ready_is_an_error():
    board = BoardModel(OUTSIDE)
    board.stall = 0.2
    with TaylorVitNetwork(board) as accelerator:
        board._accelerator.ready = 1e9
        with pytest.raises(JobError, match="^memory of model does not become ready: its initialization does not end$"):
            accelerator.load(tape_of(1_000, OUTSIDE))


def test_test_of_the_memory_that_does_not_end_is_an_error(monkeypatch):
    monkeypatch.setattr(network_model, "TEST_SECONDS", 1e9)
    board = BoardModel(OUTSIDE)
    board.stall = 0.2
    with TaylorVitNetwork(board) as accelerator:
        with pytest.raises(JobError, match="^test of the memory of model does not end; reset the accelerator$"):
            accelerator.test_memory()


# Jobs that cannot be done


@pytest.mark.parametrize(
    "images, changes, text",
    [
        (images_of(1).astype(int), {}, "images must be an array of uint8, not int64"),
        (images_of(1).tolist(), {}, "images must be an array of uint8, not list"),
        (images_of(1)[:, 1:], {}, "images must be of shape (images, 80, 2), at least one of them: 16 patches of 9 "
                                  "pixels in beats of 2; not (1, 79, 2)"),
        (images_of(0), {}, "images must be of shape (images, 80, 2), at least one of them: 16 patches of 9 pixels in "
                           "beats of 2; not (0, 80, 2)"),
        (images_of(1), {"patches": 17}, "PATCHES must be in 1..16 in register PATCHES, not 17"),
        (images_of(1), {"patch_pixels": 10}, "PATCH_PIXELS must be in 1..9 in register PATCH_PIXELS, not 10"),
        (images_of(1), {"classes": 11}, "CLASSES must be in 1..10 in register CLASSES, not 11"),
        (images_of(1), {"classes": 2.0}, "CLASSES must be an integer, not 2.0"),
        (images_of(1), {"raster": (3, 4)}, "images in raster order must have patches whose side is a multiple of the 2 "
                                           "pixels of a beat, in whole rows, not 16 patches of 9 pixels with side and "
                                           "patches a row (3, 4)"),
    ],
)  # fmt: skip
def test_wrong_images_are_refused(images, changes, text):
    board = BoardModel(CONFIG)
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(TAPE)
        with pytest.raises((TypeError, ValueError), match=f"^{re.escape(text)}$"):
            accelerator.run(images, **SIZES | changes)
        assert ("CONTROL", 1) not in board.executed_writes


def test_accelerator_must_be_open():
    for call in (lambda it: it.load(TAPE), lambda it: it.run(images_of(1), **SIZES), lambda it: it.test_memory()):
        with pytest.raises(ValueError, match="^cannot use the accelerator on model: it is not open; call open first$"):
            call(TaylorVitNetwork(BoardModel(CONFIG)))


def test_other_accelerator_is_named():
    attention = AcceleratorConfig(name="attention", rows=4, columns=4, max_tokens=16, max_head_dim=8)
    text = "must be 0x54564954, not 0x5441594c: this is an attention accelerator, for `taylorvit run --input` or, "
    with pytest.raises(WrongBoard, match=f"{text}in Python, TaylorVit$"):
        TaylorVitNetwork(BoardModel(attention)).open()
    text = "must be 0x5441594c, not 0x54564954: this is a network accelerator, for `taylorvit run --model` or, "
    with pytest.raises(WrongBoard, match=f"{text}in Python, TaylorVitNetwork$"):
        TaylorVit(BoardModel(CONFIG)).open()


def test_other_configuration_is_named():
    built = replace(CONFIG, max_classes=12)
    with pytest.raises(WrongBoard, match="^bitstream on model must be that of model with small .*: MAX_CLASSES is 12"):
        TaylorVitNetwork(BoardModel(built), board="model", config=CONFIG).open()
    with pytest.raises(WrongBoard, match="^accelerator on model must be small: MAX_CLASSES is 12, not 10"):
        TaylorVitNetwork(BoardModel(built), config=CONFIG).open()
    with pytest.raises(WrongBoard, match="link on model must have beats of 2 bytes, as the accelerator, not 4"):
        TaylorVitNetwork(BoardModel(CONFIG, stream_bytes=4)).open()


def test_running_job_is_not_disturbed():
    with TaylorVitNetwork(BoardModel(CONFIG)) as accelerator:
        accelerator.load(TAPE)
        accelerator.write("CONTROL", 1)
        text = "^cannot start a job on model: another one runs; reset the accelerator first$"
        with pytest.raises(JobError, match=text):
            accelerator.load(TAPE)
        accelerator.reset()
        accelerator.write("CONTROL", 1)
        with pytest.raises(JobError, match=text):
            accelerator.run(images_of(1), **SIZES)
        accelerator.run(images_of(1), **SIZES)  # which has begun with a reset


def run_with(board, **options):
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(TAPE)
        accelerator.run(images_of(3), **SIZES, **options)


def test_job_that_gives_nothing_is_an_error():
    board = BoardModel(CONFIG)
    board.results_withheld, board.stall = True, 0.5
    with pytest.raises(
        JobError,
        match=r"^model took \d+ of \d+ bytes and gave 0 of 120, then nothing moved for 0.5 s; "
        r"the accelerator runs, images done 0, events: none$",
    ):
        run_with(board)


def test_spoiled_job_is_an_error():
    board = BoardModel(CONFIG)
    with pytest.raises(
        JobError, match="^job on model did not compute with tape and images as they were sent: events IMAGE_SHORT$"
    ):
        run_with(board, on_progress=lambda done: board.events_to_raise.update({"IMAGE_SHORT", "DENOMINATOR"}))


def test_wrong_number_of_images_is_an_error(monkeypatch):
    with TaylorVitNetwork(BoardModel(CONFIG)) as accelerator:
        accelerator.load(TAPE)
        counters = accelerator.counters
        monkeypatch.setattr(accelerator, "counters", lambda: counters() | {"IMAGES_DONE": 2})
        with pytest.raises(JobError, match="^job on model must do 3 images, not 2$"):
            accelerator.run(images_of(3), **SIZES)


def test_dropped_packet_is_an_error():
    board = BoardModel(CONFIG)
    with pytest.raises(JobError, match="^link on model dropped a packet that it did not know$"):
        run_with(board, on_progress=lambda done: setattr(board, "malformed_packet", True))


@every_ending
def test_end_of_the_board_is_an_error(happens, error, text):
    board = BoardModel(CONFIG)
    with pytest.raises(error, match=text):
        run_with(board, on_progress=lambda done: happens(board))
    assert issubclass(error, DriverError)


def test_run_goes_on_after_a_reset():
    """The board was reset between two images: the tape is still there, and the next run is right."""
    board = BoardModel(CONFIG)
    resets = [board.power_cycle]
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(TAPE)
        with pytest.raises(BoardReset):
            accelerator.run(images_of(3), **SIZES, on_progress=lambda done: resets and resets.pop()())
        assert accelerator.load(TAPE).sent_bytes == 0
        np.testing.assert_array_equal(accelerator.run(images_of(3), **SIZES).logits, expected(images_of(3), TAPE))


# The line is the limit


BAUD, TURN_AROUND = 3_000_000, 0.002
DEIT_TAPE_BYTES = 5_650_000


def shares(board, link, size, began, sent):
    """Of the line's time, and of its bytes, what is payload."""
    share_of_time = size * 10 / BAUD / (board.now() - began)
    share_of_bytes = size / (link.statistics.sent_bytes - sent)
    print(f"payload: {share_of_time:.1%} of the line's time, {share_of_bytes:.1%} of its bytes")
    assert link.statistics.lost == board.overflows == 0
    return share_of_time, share_of_bytes


def test_line_is_the_limit_of_a_tape():
    """At 3 Mbaud and a turn-around of 2 ms, 90 % is payload; DeiT-Tiny's tape takes less than 22 s, in proportion."""
    size = 500_000
    config = replace(CONFIG, tape_memory_bytes=1 << 20)
    board = BoardModel(config, baud=BAUD, turn_around=TURN_AROUND)
    tape = tape_of(size, config)
    with TaylorVitNetwork(board) as accelerator:
        began, sent = board.now(), accelerator.link.statistics.sent_bytes
        report = accelerator.load(tape)
        assert memory(board)[:size] == tape and zlib.crc32(tape) == accelerator.read("TAPE_SUM")
        assert min(shares(board, accelerator.link, size, began, sent)) >= 0.9
    seconds = report.seconds * DEIT_TAPE_BYTES / size
    print(f"{DEIT_TAPE_BYTES:,} bytes in {seconds:.1f} s")
    assert report.sent_bytes == size and seconds < 22


def test_line_is_the_limit_of_images():
    """Likewise images of 224 x 224 pixels with three colours, one behind the other."""
    config = replace(CONFIG, max_tokens=197, max_patch=768)
    board = BoardModel(config, baud=BAUD, turn_around=TURN_AROUND)
    images = np.random.default_rng(6).integers(0, 256, (2, 196 * 384, 2), dtype=np.uint8)
    tape = tape_of(1_000, config)
    with TaylorVitNetwork(board) as accelerator:
        accelerator.load(tape)
        began, sent = board.now(), accelerator.link.statistics.sent_bytes
        result = accelerator.run(images, patches=196, patch_pixels=768, classes=10)
        assert min(shares(board, accelerator.link, images.size, began, sent)) >= 0.9
    np.testing.assert_array_equal(result.logits, expected(images, tape))
