"""What every accelerator on a board has for its driver: opening and closing, registers, events, reset.

`TaylorVit` and `TaylorVitNetwork` add the jobs of the two accelerators. A call that is broken off, by an error or by
the user, leaves nothing behind that the next one has to know of: that one begins with a reset.
"""

import contextlib
from typing import ClassVar

from taylorvit.fpga.protocol import build_id
from taylorvit.rtl.control.description import DATA_WIDTH, RegisterMap

from .errors import DriverError, JobError, RegisterError, WrongBoard
from .hardware import Hardware
from .link import Link
from .transfer import Transfer

__all__ = ["BUSY", "SOURCE_TIMEOUT", "START", "Accelerator"]

START = 1  # of CONTROL
BUSY = 1  # of STATUS
# Seconds without input after which the accelerator gives its source up: many, since the link may have to repeat.
SOURCE_TIMEOUT = 30

# Events after which the results of a job are right.
_HARMLESS_EVENTS = frozenset({"DONE", "DENOMINATOR"})
_OFFSETS = 1 << 32  # of the link's streams, modulo this
_WORD_MAX = (1 << DATA_WIDTH) - 1


class Accelerator:
    """An accelerator at a port; open it with `open` or a `with` statement.

    Args:
        port (Port): the line to the board; `close` closes it, too.
        board (str | None): name of the board that its bitstream must be built for; None for any.
        config (AcceleratorConfig | NetworkConfig | None): the configuration that it must be built from; without
            `board`, what registers tell alone must agree. None for any.

    Attributes:
        port (Port): the line.
        link (Link): the link over it, with its statistics, once open.
        view (HostView | NetworkView): the accelerator's sizes, widths and limits, by its registers, once open.

    Raises:
        ValueError: `board` is given without `config`.
    """

    hardware: ClassVar[Hardware]
    """How this kind of accelerator is recognized."""

    items: ClassVar[str]
    """What a job has several of: "heads" or "images". Counter HEADS_DONE or IMAGES_DONE says how far it is; not every
    accelerator counts."""

    operands: ClassVar[str]
    """What is sent for a job, in words."""

    link: Link
    _registers: RegisterMap

    def __init__(self, port, *, board=None, config=None):
        if board is not None and config is None:
            raise ValueError(f"config must be given with board, not only {board!r}")
        self.port = port
        self._board = board
        self._expected = config
        self._broken_off = False

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exception):
        self.close()

    def open(self):
        """Finds out what is at the port, checks that it is what was expected, and resets it.

        Raises:
            LinkTimeout: nothing answers.
            WrongBoard: what answers has another protocol or version, or is another board, accelerator or configuration;
                the message has the differences.
            PortError: the port fails.
        """
        try:
            self.link = Link(self.port)
            identification = self.link.identify()
            self.link.reset()
            names = self.hardware.read_after_reset
            words = self.hardware.checked(dict(zip(names, self.link.read(names.values()))), self.port.name)
            self.view = self._checked_view(identification, words)
            self._registers = self.hardware.register_map(self.view)
            # The board takes a WRITE with the tag of its last one for a repetition, and its last one may be that of an
            # earlier program. So the first WRITE of this program is one that changes nothing.
            self._write_checked(self._registers["EVENTS"], 0)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Closes the port."""
        self.port.close()

    def _checked_view(self, identification, words):
        expected, hardware = self._expected, self.hardware
        view = hardware.view_of(words, "hardware" if expected is None else expected.name, self.port.name)
        if identification.stream_bytes != hardware.beat_bytes(view):
            raise WrongBoard(
                f"link on {self.port.name} must have beats of {hardware.beat_bytes(view)} bytes, as the "
                f"accelerator, not {identification.stream_bytes}"
            )
        if expected is None:
            return view
        different = hardware.differences(words, view, expected)
        if self._board is not None:
            expected_build = build_id(self._board, expected)
            if identification.build_id != expected_build:
                reason = "; ".join(different) or "built for another board, by another version or with other options"
                raise WrongBoard(
                    f"bitstream on {self.port.name} must be that of {self._board} with {expected.name} (build "
                    f"{expected_build:08x}), not {identification.build_id:08x}: {reason}"
                )
        elif different:
            raise WrongBoard(f"accelerator on {self.port.name} must be {expected.name}: {'; '.join(different)}")
        return view

    # Registers

    def read(self, name):
        """Reads a register.

        Args:
            name (str): its name; that of NAME_0, NAME_1, ... without the number reads all of them as one.

        Returns:
            int: its value.

        Raises:
            ValueError: there is none of that name, or the accelerator is not open.
            RegisterError: the accelerator refuses the access.
        """
        return self.read_all([name])[name]

    def read_all(self, names):
        """Reads several registers, one right after the other.

        Args:
            names (Iterable[str]): their names, as in `read`.

        Returns:
            dict[str, int]: name -> value.

        Raises:
            ValueError: there is none of a name, or the accelerator is not open.
            RegisterError: the accelerator refuses an access.
        """
        registers = {name: self._words(name) for name in names}
        words = iter(self.link.read([word.offset for words in registers.values() for word in words]))
        values = {}
        for name, parts in registers.items():
            read = [next(words) for _part in parts]
            if None in read:
                raise RegisterError(f"register {name} on {self.port.name} cannot be read")
            values[name] = sum(word << (DATA_WIDTH * index) for index, word in enumerate(read))
        return values

    def write(self, name, value):
        """Writes a register of one word, exactly once, whatever the line does.

        Args:
            name (str): its name.
            value (int): its value, signed or unsigned, of 32 bits.

        Raises:
            TypeError: the value is no integer.
            ValueError: there is no such register, it cannot be written, the value does not fit, or the accelerator is
                not open.
            RegisterError: the accelerator refuses it.
        """
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"value of {name} must be an integer, not {value!r}")
        register, *more = self._words(name)
        if more:
            names = ", ".join(word.name for word in (register, *more))
            raise ValueError(f"register must be one of {names}, not {name!r}")
        if not register.access.writable:
            raise ValueError(f"register must be one that can be written, not {name!r} ({register.access.value})")
        if not -(1 << DATA_WIDTH - 1) <= value <= _WORD_MAX:
            raise ValueError(f"value of {name} must fit {DATA_WIDTH} bits, not {value!r}")
        self._write_checked(register, value & _WORD_MAX)

    def _words(self, name):
        if not hasattr(self, "_registers"):
            raise ValueError("cannot access a register: the accelerator is not open; call open first")
        try:
            return self._registers.words(name)
        except KeyError as error:
            raise ValueError(error.args[0]) from None

    def _write_checked(self, register, word):
        if not self.link.write(register.offset, word):
            raise RegisterError(f"{self.port.name} refuses {word:#x} for register {register.name}")

    def set_parameters(self, values):
        """Sets the registers of the next job, TIMEOUT among them, and clears all events.

        Args:
            values (Mapping[str, int]): as `RegisterMap.writes` takes them.

        Raises:
            TypeError: a value is not an integer.
            ValueError: the accelerator cannot take a value.
            RegisterError: it refuses one.
        """
        every_event = sum(1 << bit for bit, _text in self._registers.events.values())
        writes = self._registers.writes({**values, "TIMEOUT": self._source_timeout()})
        writes.append((self._registers["EVENTS"].offset, every_event))
        if refused := self.link.write_parameters(writes):
            names = ", ".join(register.name for register in self._registers if register.offset in refused)
            raise RegisterError(f"{self.port.name} refuses the values for {names}")

    def _source_timeout(self):
        """Value of TIMEOUT: `SOURCE_TIMEOUT`, or as long as the register can say."""
        longest = self._registers["TIMEOUT"].fields[0].maximum
        return min(SOURCE_TIMEOUT * self.link.identification.clock_hz, longest)

    def events(self):
        """Reads the events that are set.

        Returns:
            frozenset[str]: their names.
        """
        return self.events_in(self.read("EVENTS"))

    def events_in(self, word):
        """The events that a value of the register EVENTS has.

        Args:
            word (int): the value.

        Returns:
            frozenset[str]: their names.
        """
        return frozenset(name for name, (bit, _text) in self._registers.events.items() if word >> bit & 1)

    def counters(self):
        """Reads the performance counters of the running or last job.

        Returns:
            dict[str, int]: register name -> value, of the counters that the accelerator has.
        """
        self._require_open()
        return self.read_all(self._registers.counters)

    def busy(self):
        """Reads whether a job runs.

        Returns:
            bool: whether one does.
        """
        return bool(self.read("STATUS") & BUSY)

    def link_status(self):
        """Reads the state of the board's end of the link.

        Returns:
            BoardStatus: the state.
        """
        return self.link.status()

    def reset(self):
        """Stops whatever runs, and gives all registers their values at power-up."""
        self.link.reset()
        self._broken_off = False

    # Jobs

    def _require_open(self):
        if not hasattr(self, "_registers"):
            raise ValueError(f"cannot use the accelerator on {self.port.name}: it is not open; call open first")

    @contextlib.contextmanager
    def _settled(self):
        """For a call that moves packets: one that was broken off, or a reset since then, has left nothing behind."""
        if self._broken_off or self.link.status().next_offset != self.link.next_offset % _OFFSETS:
            self.reset()
        self._broken_off = True
        yield
        self._broken_off = False

    def start(self, bit):
        """Starts a job with the parameters as they are.

        Args:
            bit (int): of CONTROL, which says what job it is.

        Raises:
            RegisterError: the accelerator refuses it.
        """
        self._write_checked(self._registers["CONTROL"], bit)

    def require_known_packets(self):
        """Checks that the board has dropped nothing that was sent.

        Raises:
            JobError: it has.
        """
        if self.link.status().malformed_packet:
            raise JobError(f"link on {self.port.name} dropped a packet that it did not know")

    def _require_idle(self):
        if self.busy():
            raise JobError(f"cannot start a job on {self.port.name}: another one runs; reset the accelerator first")

    def _compute(self, packets, result_bytes, on_result=lambda index, data: None):
        """Starts the job whose parameters are set, sends what it takes, and receives what it gives.

        Args:
            packets (list[bytes]): for each item, the packets that go in, of one length in all.
            result_bytes (int): bytes that come out for an item.
            on_result (Callable[[int, bytearray], None]): is called with each item's index and bytes as they come.

        Returns:
            tuple[bytes, dict[str, int], frozenset[str]]: all that came out; counters; events.

        Raises:
            JobError: the job did not end as it should.
        """
        self.start(START)
        results = self._stream(packets, result_bytes, on_result)
        self._wait_idle()
        counters, events = self.counters(), self.events()
        if spoiled := sorted(events - _HARMLESS_EVENTS):
            raise JobError(
                f"job on {self.port.name} did not compute with {self.operands} as they were sent: events "
                f"{', '.join(spoiled)}"
            )
        done = counters.get(self._done_counter, len(packets))
        if done != len(packets):
            raise JobError(f"job on {self.port.name} must do {len(packets)} {self.items}, not {done}")
        self.require_known_packets()
        return results, counters, events

    def _stream(self, packets, result_bytes, on_result):
        of_item = len(packets[0])
        finished = 0

        def on_results(count):
            nonlocal finished
            while finished < count // result_bytes:
                data = transfer.received[finished * result_bytes : (finished + 1) * result_bytes]
                finished += 1
                on_result(finished - 1, data)

        transfer = Transfer(
            self.link,
            b"".join(packets),
            len(packets) * result_bytes,
            possible=lambda arrived: arrived // of_item * result_bytes,
            on_results=on_results,
        )
        try:
            return transfer.run()
        except JobError as error:
            raise JobError(f"{error}; {self._diagnosis()}") from None

    @property
    def _done_counter(self):
        return f"{self.items.upper()}_DONE"

    def _diagnosis(self):
        """What the board reports of a job that makes no progress."""
        try:
            counts = [self._done_counter] if self._done_counter in self._registers.counters else []
            words, status = self.read_all(["STATUS", *counts]), self.link.status()
            events = sorted(self.events()) + ["malformed packet"] * status.malformed_packet
        except DriverError as error:
            return str(error)
        state = "runs" if words["STATUS"] & BUSY else "is idle"
        done = "".join(f"{name.lower().replace('_', ' ')} {words[name]}, " for name in counts)
        return f"the accelerator {state}, {done}events: {', '.join(events) or 'none'}"

    def _wait_idle(self):
        """Waits for the end of the job, which comes a few cycles after its last beat was taken."""
        deadline = self.port.now() + self.port.stall
        while self.busy():
            if self.port.now() > deadline:
                raise JobError(f"job on {self.port.name} did not end with its last result: {self._diagnosis()}")
