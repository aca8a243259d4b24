"""An attention accelerator in Python, for `verif.fpga.board_model`.

It takes heads as the real one does, at most two beyond the one that it computes, and answers with the integer golden's
Z.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from taylorvit.golden.attention.integer_attention import JobConstants, integer_taylor_attention
from taylorvit.jobs import format_of
from taylorvit.rtl.control.registers import register_map
from verif.fpga.register_model import MODULUS, RegisterModel

__all__ = ["AttentionModel"]

HEADS_AHEAD = 2


class AttentionModel(RegisterModel):
    """Registers, and heads that become Z by the integer golden."""

    items = "HEADS"

    @property
    def beat_bytes(self) -> int:
        return self.config.stream_width // 8

    def reset(self) -> None:
        self.reset_registers(register_map(self.config))
        self.matrices = {0: deque(), 1: deque(), 2: deque()}

    def control(self, data: int) -> None:
        if data & 1:
            self._start()

    def _start(self) -> None:
        self.values |= {"STATUS": 1, "CYCLES": 0, "ARRAY_BUSY": 0, "STALL_INPUT": 0, "STALL_OUTPUT": 0, "HEADS_DONE": 0}
        self.finished = 0

    def take(self, buffer: bytearray, moment: float) -> bool:
        """Whole packets from the buffer, as the loaders would take their beats; True if one was malformed."""
        malformed = False
        while len(buffer) >= 4:
            stream, length = buffer[0], int.from_bytes(buffer[1:4], "little")
            if stream not in self.matrices or not length:
                malformed = True
                del buffer[:4]
                continue
            if not self._open_packet(stream):
                break
            # What is behind the heading flows on at once; only its end makes a matrix of it.
            part = self.matrices[stream][-1]
            body = buffer[4 : 4 + length - len(part.got)]
            if not body and len(part.got) < length:
                break
            part.got += body
            del buffer[4 : 4 + len(body)]
            if len(part.got) < length:
                break
            del buffer[:4]
            part.whole = True
            self._compute(moment)
        return malformed

    def _open_packet(self, stream: int) -> bool:
        """Whether the stream's loader takes beats: it belongs to a running job, and a half of the buffer is free."""
        waiting = self.matrices[stream]
        if waiting and not waiting[-1].whole:
            return True
        if not self.values["STATUS"] or len(waiting) + len(self.computed) > HEADS_AHEAD:
            return False
        waiting.append(_Matrix())
        return True

    def _compute(self, moment: float) -> None:
        while all(waiting and waiting[0].whole for waiting in self.matrices.values()):
            shape = 1, self.values["TOKENS"], self.values["HEAD_DIM"]
            q, k, v = (self._matrix(waiting.popleft().got, shape) for waiting in self.matrices.values())
            shift_z = self.values["SHIFT_Z"]
            constants = JobConstants(
                shift_g=self.values["SHIFT_G"],
                shift_z=shift_z - MODULUS if shift_z >> 31 else shift_z,
                c_v=sum(self.values[f"C_V_{word}"] << 32 * word for word in range(2)),
                c_d=sum(self.values[f"C_D_{word}"] << 32 * word for word in range(3)),
            )
            z = integer_taylor_attention(q, k, v, constants, format_of(self.config)).z[0]
            rows = np.zeros((shape[1], self._row_elements(shape[2])), dtype=self._container())
            rows[:, : shape[2]] = z
            self.computed.append((moment + self.compute_seconds, rows.tobytes()))

    def counted(self):
        return {"HEADS_DONE": self.finished, "CYCLES": self.finished * 10_000}

    def _matrix(self, data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        rows = np.frombuffer(bytes(data), dtype=self._container()).reshape(shape[1], self._row_elements(shape[2]))
        return rows[None, :, : shape[2]].astype(np.int64)

    def _container(self) -> str:
        return f"<i{self.config.element_width // 8}"

    def _row_elements(self, head_dim: int) -> int:
        return -(-head_dim // self.config.stream_lanes) * self.config.stream_lanes


@dataclass
class _Matrix:
    """One head's packet as far as it has come."""

    got: bytearray = field(default_factory=bytearray)
    whole: bool = False
