"""Shared LayerNorm lane: one for some neighbouring columns, which take turns.

    columns' operands --(or, 2 cycles)--> arithmetic --> activation of the column whose turn it was
    lane_in --> [token] ------------------'  |
                 [turn: one bit a column]    '--> lane_out, to the lane on the right

Column c works c cycles after column 0, so the columns of a lane need it in consecutive cycles. A lane of S columns gets
a token at most every S cycles: then only one column needs it in a cycle, and nothing has to wait. What all columns know
of a token, its factor for instance, stays in the lane meanwhile.
"""

from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from taylorvit.rtl.common.pipeline import delay, gather

from .bundles import ActivationWrite, LaneControl
from .norm_arithmetic import NormArithmetic
from .norm_operand import NormOperands

__all__ = ["SharedNormLane"]

_GATHER_LATENCY = 2


class SharedNormLane(NormArithmetic):
    """One token every `members` cycles, one feature of it a cycle.

    Args:
        config (NetworkConfig): the configuration.

    Ports:
        lane_in, lane_out (LaneControl): a token, in the cycle in which the lane's first column takes it; passed on
            `members` cycles later with the place of the next lane's first column. At least `members` cycles after the
            one before. Its `norm_shift` is the same for all that are in the lane.
        operands (NormOperands, input, one for each column): of column k, k cycles after `lane_in` and `operand_delay`
            more the feature, `scale_delay` more gamma and beta; 0 in all other cycles.
        activations (ActivationWrite, output, one for each column): of column k, k cycles after `lane_in` and `latency`
            more. All have the same bank, address and data.
    """

    module_name = "shared_norm_lane"

    def __init__(self, config):
        self.members = config.columns_per_lane
        self.rows = config.rows
        self.wraps = config.rows % config.columns != 0
        self._control = LaneControl(config)
        super().__init__(
            config,
            {
                "lane_in": In(self._control),
                "lane_out": Out(self._control),
                "operands": In(NormOperands(config)).array(self.members),
                "activations": Out(ActivationWrite(config)).array(self.members),
            },
        )

    @property
    def operand_delay(self):
        """Cycles from a column's token to its feature."""
        return super().feature_delay

    @property
    def feature_delay(self):
        """Cycles from a column's token until its feature is in the lane."""
        return self.operand_delay + _GATHER_LATENCY

    @property
    def scale_delay(self):
        """Cycles from a column's token to its gamma and beta."""
        return self.normalized_latency - _GATHER_LATENCY

    def elaborate(self, platform):
        m = Module()
        # One bit a column: its token came in the cycle before.
        turn = Signal(self.members)
        m.d.sync += turn.eq(Cat(self.lane_in.valid, turn[:-1]))
        token = self._token(m, turn)

        features = gather(m, [Cat(operand.feature, operand.left_shift) for operand in self.operands], "feature")
        scales = gather(m, [Cat(operand.gamma, operand.beta) for operand in self.operands], "scale")
        width = len(self.operands[0].feature)
        normalized = self.normalized(m, token, features[:width].as_signed(), features[width:])
        gamma, beta = self.memories.gamma_and_beta(scales)
        output = self.output(m, normalized, gamma, beta, token.norm_shift)

        valid = self.after_tile(m, turn[0], self.latency, "valid")
        bank = self.after_tile(m, token.bank, self.latency, "bank")
        address = self.after_tile(m, token.destination, self.latency, "destination")
        for activation in self.activations:
            m.d.comb += [
                activation.valid.eq(valid),
                activation.bank.eq(bank),
                activation.address.eq(address),
                activation.data.eq(output),
            ]
            valid = delay(m, valid, 1, f"{activation.valid.name}_next")
        return m

    def _token(self, m, turn):
        """What is known of the token, as it is for the column whose turn it is; passes it on behind the last column."""
        members = self._control.members
        token = SimpleNamespace()
        for name in members:
            port = getattr(self.lane_in, name)
            if name != "valid":
                setattr(token, name, Signal.like(port, name=f"token_{name}", reset_less=len(port) > 1))
        # From column to column the place goes on by a bank.
        next_bank = Signal.like(token.bank)
        next_destination = Signal.like(token.destination)
        m.d.comb += [next_bank.eq(token.bank + 1), next_destination.eq(token.destination)]
        if self.wraps:
            with m.If(token.bank == self.rows - 1):
                m.d.comb += [next_bank.eq(0), next_destination.eq(token.following)]
        m.d.sync += [token.bank.eq(next_bank), token.destination.eq(next_destination)]
        with m.If(self.lane_in.valid):
            for name, register in vars(token).items():
                m.d.sync += register.eq(getattr(self.lane_in, name))
        passed_on = vars(token) | {"valid": turn[-1], "bank": next_bank, "destination": next_destination}
        for name in members:
            m.d.comb += getattr(self.lane_out, name).eq(passed_on[name])
        return token
