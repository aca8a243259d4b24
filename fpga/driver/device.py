"""`TaylorVit`: an accelerator on a board, or on a simulated one, as a Python object.

    with TaylorVit(SerialPort("/dev/ttyUSB0", 3_000_000)) as accelerator:
        result = accelerator.run(q, k, v, {"SHIFT_G": 5, "SHIFT_Z": 9, "C_V": 11, "C_D": 403456})
        result.z          # (heads, tokens, head_dim), int64
        result.jobs[0].counters["CYCLES"]

Tensors are integers here, with the job's register values: `taylorvit.jobs.quantize` makes both from floats. Heads
beyond what one job can take are more jobs, one after the other.
"""

from dataclasses import dataclass

import numpy as np

from taylorvit.fpga.protocol import build_id
from taylorvit.rtl.control.description import DATA_WIDTH, RegisterMap
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import ALL_EVENTS, EVENTS, events_in, job_constants, register_map

from .errors import DriverError, JobError, RegisterError, WrongBoard
from .hardware import READ_AFTER_RESET, check_identification, differences, view_of
from .link import Link
from .tensors import check_operands, head_packets, matrix_from_bytes, result_bytes
from .transfer import Transfer

__all__ = ["JobReport", "JobResult", "TaylorVit"]

START = 1  # of CONTROL
BUSY = 1  # of STATUS
COUNTERS = ("CYCLES", "ARRAY_BUSY", "STALL_INPUT", "STALL_OUTPUT", "HEADS_DONE")
# Events which mean that the accelerator did not compute with what it was sent.
SPOILING_EVENTS = frozenset(EVENTS) - {"DONE", "DENOMINATOR"}
# Seconds without tensor bytes after which the accelerator goes on with zeros: many, since the link may have to repeat.
SOURCE_TIMEOUT = 30

_WORD_MAX = (1 << DATA_WIDTH) - 1


@dataclass(frozen=True)
class JobReport:
    """What the accelerator said of one job.

    Attributes:
        heads (int): number of its heads.
        counters (dict[str, int]): register name -> value.
        events (frozenset[str]): names of the events.
    """

    heads: int
    counters: dict[str, int]
    events: frozenset[str]


@dataclass(frozen=True)
class JobResult:
    """What came out of the accelerator.

    Attributes:
        z (np.ndarray): integers (heads, tokens, head_dim).
        jobs (tuple[JobReport, ...]): the jobs that it took.
    """

    z: np.ndarray
    jobs: tuple[JobReport, ...]


class TaylorVit:
    """An accelerator at a port; open it with `open` or a `with` statement.

    Args:
        port (Port): the line to the board; `close` closes it, too.
        board (str | None): name of the board that its bitstream must be built for; None for any.
        config (AcceleratorConfig | None): the configuration that it must be built from; without `board`, sizes and
            widths alone must agree. None for any.

    Attributes:
        port (Port): the line.
        link (Link): the link over it, with its statistics, once open.
        view (HostView): the accelerator's sizes, widths and limits, by its registers, once open.

    Raises:
        ValueError: `board` is given without `config`.
    """

    link: Link
    view: HostView
    _registers: RegisterMap

    def __init__(self, port, *, board=None, config=None):
        if board is not None and config is None:
            raise ValueError(f"config must be given with board, not only {board!r}")
        self.port = port
        self._board = board
        self._expected = config

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exception):
        self.close()

    def open(self):
        """Finds out what is at the port, checks that it is what was expected, and resets it.

        Raises:
            LinkTimeout: nothing answers.
            WrongBoard: what answers has another protocol or version, or is another board or configuration; the message
                has the differences.
            PortError: the port fails.
        """
        try:
            self.link = Link(self.port)
            identification = self.link.identify()
            self.link.reset()
            words = self._read_after_reset()
            check_identification(words, self.port.name)
            self.view = self._checked_view(identification, words)
            self._registers = register_map(self.view)
            # The board takes a WRITE with the tag of its last one for a repetition, and its last one may be that of an
            # earlier program. So the first WRITE of this program is one that changes nothing.
            self._write_checked(self._registers["EVENTS"], 0)
        except BaseException:
            self.close()
            raise

    def close(self):
        """Closes the port."""
        self.port.close()

    def _read_after_reset(self):
        words = self.link.read(READ_AFTER_RESET.values())
        missing = [name for name, word in zip(READ_AFTER_RESET, words) if word is None]
        if missing:
            raise WrongBoard(
                f"accelerator on {self.port.name} must have the registers of this program's version, "
                f"but has no {', '.join(missing)}"
            )
        return dict(zip(READ_AFTER_RESET, words))

    def _checked_view(self, identification, words):
        expected = self._expected
        view = view_of(words, "hardware" if expected is None else expected.name, self.port.name)
        if identification.stream_bytes * 8 != view.stream_width:
            raise WrongBoard(
                f"link on {self.port.name} must have beats of {view.stream_width // 8} bytes, as the "
                f"accelerator, not {identification.stream_bytes}"
            )
        if expected is None:
            return view
        different = differences(words, view, HostView.of(expected))
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

    def events(self):
        """Reads the events that are set.

        Returns:
            frozenset[str]: their names.
        """
        return events_in(self.read("EVENTS"))

    def counters(self):
        """Reads the performance counters of the running or last job.

        Returns:
            dict[str, int]: register name -> value.
        """
        return self.read_all(COUNTERS)

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

    # Jobs

    def configure(self, *, heads, tokens, head_dim, constants):
        """Sets the registers of the next job.

        Args:
            heads (int): number of heads.
            tokens (int): tokens of a head.
            head_dim (int): features of a token.
            constants (Mapping[str, int]): register name -> value, for all others of the job; of a table, all of its
                numbers.

        Raises:
            TypeError: a constant is not an integer.
            ValueError: the built accelerator cannot take it; a constant is missing, or is none of this accelerator's.
            RegisterError: the accelerator refuses it.
        """
        longest = self._registers["TIMEOUT"].fields[0].maximum
        timeout = min(SOURCE_TIMEOUT * self.link.identification.clock_hz, longest)
        needed = job_constants(self._registers)
        if set(constants) != set(needed):
            raise ValueError(f"constants must be of the registers {', '.join(needed)}, not of {', '.join(constants)}")
        values = {"HEADS": heads, "TOKENS": tokens, "HEAD_DIM": head_dim, **constants, "TIMEOUT": timeout}
        writes = self._registers.writes(values)
        refused = self.link.write_parameters([*writes, (self._registers["EVENTS"].offset, ALL_EVENTS)])
        if refused:
            names = ", ".join(register.name for register in self._registers if register.offset in refused)
            raise RegisterError(f"{self.port.name} refuses the values for {names}")

    def run(self, q, k, v, constants, *, on_progress=lambda heads: None):
        """Computes Z of heads.

        Args:
            q (np.ndarray): queries, integers (heads, tokens, head_dim) of `data_width` bits.
            k (np.ndarray): keys, of the same shape.
            v (np.ndarray): values, of the same shape.
            constants (Mapping[str, int]): register name -> value, for all heads (docs/numerics.md); of a table, all of
                its numbers.
            on_progress (Callable): is called with the number of heads that have come back, whenever that is one more.

        Returns:
            JobResult: Z, and what the accelerator said of its jobs.

        Raises:
            TypeError: operands or constants are not integers.
            ValueError: operands or constants that the accelerator cannot take.
            JobError: a job did not end as it should; after that, `reset` before the next.
        """
        operands = {"q": q, "k": k, "v": v}
        check_operands(operands, self.view)
        heads = len(q)
        per_job = self.view.max_heads
        z, jobs = [], []
        for first in range(0, heads, per_job):
            part = {name: operand[first : first + per_job] for name, operand in operands.items()}
            matrices, job = self._run_job(
                **part, constants=constants, on_progress=lambda done, first=first: on_progress(first + done)
            )
            z += matrices
            jobs.append(job)
        return JobResult(np.stack(z), tuple(jobs))

    def _run_job(self, q, k, v, constants, on_progress):
        heads, tokens, head_dim = q.shape
        if self.busy():
            raise JobError(f"cannot start a job on {self.port.name}: another one runs; reset the accelerator first")
        self.configure(heads=heads, tokens=tokens, head_dim=head_dim, constants=constants)
        self._write_checked(self._registers["CONTROL"], START)
        head_size = result_bytes(tokens, head_dim, self.view)
        data = self._stream(q, k, v, head_size, on_progress)
        self._wait_idle()
        job = JobReport(heads, self.counters(), self.events())
        self._check(job)
        matrices = [
            matrix_from_bytes(data[head * head_size : (head + 1) * head_size], tokens, head_dim, self.view)
            for head in range(heads)
        ]
        return matrices, job

    def _stream(self, q, k, v, head_size, on_progress):
        packets = [head_packets(*head, self.view) for head in zip(q, k, v)]
        packets_size = len(packets[0])
        finished = 0

        def on_results(count):
            nonlocal finished
            while finished < count // head_size:
                finished += 1
                on_progress(finished)

        transfer = Transfer(
            self.link,
            b"".join(packets),
            len(q) * head_size,
            possible=lambda arrived: arrived // packets_size * head_size,
            on_results=on_results,
        )
        try:
            return transfer.run()
        except JobError as error:
            raise JobError(f"{error}; {self._diagnosis()}") from None

    def _diagnosis(self):
        """What the board reports of a job that makes no progress."""
        try:
            words, status = self.read_all(["STATUS", "HEADS_DONE"]), self.link.status()
            events = sorted(self.events()) + ["malformed packet"] * status.malformed_packet
        except DriverError as error:
            return str(error)
        state = "runs" if words["STATUS"] & BUSY else "is idle"
        return f"the accelerator {state}, heads done {words['HEADS_DONE']}, events: {', '.join(events) or 'none'}"

    def _wait_idle(self):
        """Waits for the end of the job, which comes a few cycles after its last beat was taken."""
        deadline = self.port.now() + self.port.stall
        while self.busy():
            if self.port.now() > deadline:
                raise JobError(f"job on {self.port.name} did not end with its last result: {self._diagnosis()}")

    def _check(self, job):
        spoiled = sorted(job.events & SPOILING_EVENTS)
        if spoiled:
            raise JobError(
                f"job on {self.port.name} did not compute with its operands as they were sent: events "
                f"{', '.join(spoiled)}"
            )
        if job.counters["HEADS_DONE"] != job.heads:
            raise JobError(f"job on {self.port.name} must do {job.heads} heads, not {job.counters['HEADS_DONE']}")
        if self.link.status().malformed_packet:
            raise JobError(f"link on {self.port.name} dropped a packet that it did not know")
