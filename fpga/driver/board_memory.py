"""The memory beside the FPGA, where a board has its tapes: what its registers tell, and its test."""

from taylorvit.fpga.memory.register_map import MEMORY_ID, memory_register_map

from .errors import BoardReset, JobError, RegisterError
from .tape_memory import MemoryReport, TapeMemory

__all__ = ["BoardMemory"]

_REGISTERS = memory_register_map(0)
_STATUS = _REGISTERS["MEMORY_STATUS"]
_TEST = 1  # of MEMORY_CONTROL
_MARK = 2  # value of IMAGES, which a reset changes
_TEST_CYCLES = 8  # that a byte may take: it is written and read, and a controller has a life of its own


class BoardMemory(TapeMemory):
    """The memory of tapes beside the FPGA; as `TapeMemory`.

    Args:
        accelerator (TaylorVitNetwork): its driver.
    """

    @property
    def size(self):
        """Bytes of the memory, which is ready.

        Raises:
            WrongBoard: there is none that the board's registers know of.
            JobError: it does not become ready.
        """
        if self._read("MEMORY_ID") != MEMORY_ID:
            raise self._missing("read them from one that the board's registers do not know")
        deadline = self._port.now() + self._port.stall
        while not self._status("INITIALIZED"):
            if self._port.now() > deadline:
                raise JobError(f"memory of {self._port.name} does not become ready: its initialization does not end")
        return self._read("MEMORY_BYTES")

    def test(self, on_progress):
        """Has the board write a pattern over the whole memory, and read it back. A tape that was there is lost.

        Args:
            on_progress (Callable[[int, int], None]): is called with 0 and 1 at the beginning, with 1 and 1 at the end.

        Returns:
            MemoryReport: what was found.

        Raises:
            WrongBoard: there is no such memory.
            RegisterError: the board refuses the test, since one runs.
            JobError: it does not end.
            BoardReset: the board was reset.
        """
        began, size = self._port.now(), self.size
        self._accelerator.set_parameters({"IMAGES": _MARK})
        on_progress(0, 1)
        if not self._link.write(_REGISTERS["MEMORY_CONTROL"].offset, _TEST):
            raise RegisterError(f"{self._port.name} refuses a test of its memory: one runs")
        deadline = self._port.now() + self._port.stall + _TEST_CYCLES * size / self._link.identification.clock_hz
        while self._status("TESTING"):
            if self._port.now() > deadline:
                raise JobError(f"test of the memory of {self._port.name} does not end; reset the accelerator")
        errors, first = self._read("TEST_ERRORS"), self._read("TEST_ADDRESS")
        if self._accelerator.read("IMAGES") != _MARK:
            raise BoardReset(f"board on {self._port.name} was reset while it tested its memory")
        on_progress(1, 1)
        beat = self._view.tape_bytes
        return MemoryReport(size, errors, first if errors else None, beat, self._port.now() - began)

    def _status(self, bit):
        return bool(_STATUS[bit].of(self._read("MEMORY_STATUS") or 0))

    def _read(self, name):
        (word,) = self._link.read([_REGISTERS[name].offset])
        return word
