"""The attention kernels of the interpreter: what each keeps of K, V and of its own totals, and what becomes of them.

Buffers and addresses are those of `docs/network.md`.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from taylorvit.golden.arithmetic.number_format import divide_round_half_up, exact, magnitude, saturate
from taylorvit.rtl.network.command import EXPONENTIAL_BYTES, Destination, Stationary
from taylorvit.rtl.network.config import NetworkConfig

__all__ = ["ATTENTIONS", "Attention", "rounded"]

Command = dict[str, int]
Write = Callable[[], None]


def rounded(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """round_half_up(x / 2^shift).

    Args:
        x (np.ndarray): integers.
        shift (np.ndarray): right shifts, at least 0.
    """
    return (x + ((1 << shift) >> 1)) >> shift


class Attention:
    """A kernel. What it keeps of a head or of a block of queries, it keeps twice, by turns.

    Args:
        config (NetworkConfig): the accelerator.
        value (np.ndarray): banks of V, of all kernels.
        banks (Callable): makes banks of so many, so many words, so many bits, with anything in them.
        send (Callable): takes Z of an output tile to the activation banks: command, (elements, C), tile.

    Attributes:
        keys (np.ndarray): banks that K is kept in.
        errors (int): rows whose denominator is not positive.
    """

    name = ""
    keys: np.ndarray

    def __init__(self, config: NetworkConfig, value: np.ndarray, banks: Callable, send: Callable) -> None:
        self.config, self.value, self.send = config, value, send
        self.errors = 0
        self.constants: Command = {}
        self._products: dict[Destination, int] = {}

    def begin(self, constants: Command, table: Callable[[int, int], np.ndarray]) -> None:
        """A layer begins.

        Args:
            constants (Command): its command CONSTANTS.
            table (Callable): takes a table from the tape: so many entries of so many bytes.
        """
        self.constants = constants
        self._products = {}

    def half(self, destination: Destination) -> int:
        """The half of the next product of this kind.

        Args:
            destination (Destination): of the product.
        """
        count = self._products.get(destination, 0)
        self._products[destination] = count + 1
        return count % 2

    def stationary(self, source: Stationary) -> np.ndarray:
        """Banks of a stationary operand, (C, words).

        Args:
            source (Stationary): KERNEL_0 or KERNEL_1.
        """
        raise NotImplementedError

    def streamed(self, addresses: np.ndarray, half: int) -> np.ndarray:
        """The streamed operand, (elements, input tiles R).

        Args:
            addresses (np.ndarray): (input tiles, elements), in the banks of the rows.
            half (int): of the head or block.
        """
        raise NotImplementedError

    def write_key(self, command: Command, activation: np.ndarray, places: np.ndarray) -> None:
        """K of an output tile.

        Args:
            command (Command): the product.
            activation (np.ndarray): (tokens, C).
            places (np.ndarray): (C,), of the columns.
        """
        raise NotImplementedError

    def write_total(self, command: Command, total: np.ndarray, tile: int, half: int, streamed: np.ndarray) -> None:
        """Totals for KERNEL_0 or KERNEL_1.

        Args:
            command (Command): the product.
            total (np.ndarray): (elements, C).
            tile (int): output tile.
            half (int): of the head or block.
            streamed (np.ndarray): the streamed operand.
        """
        raise NotImplementedError

    def writes(self, command: Command, half: int, streamed: np.ndarray) -> list[Write]:
        """What is computed of a whole product as it is finished.

        Args:
            command (Command): the product.
            half (int): of the head or block.
            streamed (np.ndarray): the streamed operand.
        """
        return []

    def divide(self, command: Command, t_n: np.ndarray, t_d: np.ndarray, tile: int) -> None:
        """Z of numerators and denominators.

        Args:
            command (Command): the product.
            t_n (np.ndarray): (elements, C).
            t_d (np.ndarray): (elements,).
            tile (int): output tile.
        """
        shift = self.constants["shift_z"]
        valid = t_d > 0
        numerator, denominator = t_n << max(shift, 0), np.where(valid, t_d, 1) << max(-shift, 0)
        quotient = saturate(divide_round_half_up(numerator, denominator[:, np.newaxis]), 8).astype(np.int64)
        by_sign = np.where(t_n < 0, -128, 127)
        if tile == 0:
            self.errors += int(np.count_nonzero(~valid))
        self.send(command, np.where(valid[:, np.newaxis], quotient, by_sign), tile)


class _Taylor(Attention):
    """Taylor attention: K in the rows, G in the columns; means and sums."""

    name = "taylor"

    def __init__(self, config: NetworkConfig, value: np.ndarray, banks: Callable, send: Callable) -> None:
        super().__init__(config, value, banks, send)
        self.keys = banks(config.rows, config.key_depth, 8)
        self.g = banks(config.columns, config.g_depth, 8)
        none = np.zeros(0, dtype=np.int64)
        self.mean, self.v_sum, self.k_hat_sum = ([none, none] for _ in range(3))

    def stationary(self, source: Stationary) -> np.ndarray:
        return self.value if source == Stationary.KERNEL_0 else self.g

    def streamed(self, addresses: np.ndarray, half: int) -> np.ndarray:
        count = addresses.shape[1]
        operand = self.keys[:, addresses].transpose(2, 1, 0).reshape(count, -1)
        return (operand << self.config.mean_fraction) - self.mean[half][:count, np.newaxis]

    def write_key(self, command: Command, activation: np.ndarray, places: np.ndarray) -> None:
        rows, token = self.config.rows, np.arange(len(activation))
        addresses = command["destination_base"] + token // rows * command["destination_stride"]
        self.keys[(token % rows)[:, np.newaxis], addresses[:, np.newaxis] + places] = activation

    def write_total(self, command: Command, total: np.ndarray, tile: int, half: int, streamed: np.ndarray) -> None:
        if command["destination"] == Destination.KERNEL_0:
            g = saturate(rounded(total, np.array(self.constants["shift_g"])), 8)
            address = command["destination_base"] + tile * command["destination_stride"]
            self.g[:, address : address + command["length"]] = g.T
            return
        constants, columns = self.constants, self.config.columns
        limit = min(command["stationary_limit"], streamed.shape[1])
        fraction, shift = self.config.constant_fraction, constants["shift_z"]
        q_k_hat_sum = streamed[:, :limit] @ self.k_hat_sum[half][:limit]  # (tokens,)
        v_sum = self.v_sum[half][tile * columns : (tile + 1) * columns]
        # As 64 bits where they are enough, which is much faster than integers of any size.
        largest = ((magnitude(total) << fraction) + constants["c_v"] * magnitude(v_sum)) << max(shift, 0)
        t_n = (exact(total, largest) << fraction) + constants["c_v"] * exact(v_sum, largest)
        largest = (constants["c_d"] + (magnitude(q_k_hat_sum) << fraction)) << max(-shift, 0)
        t_d = constants["c_d"] + (exact(q_k_hat_sum, largest) << fraction)
        self.divide(command, t_n, t_d, tile)

    def writes(self, command: Command, half: int, streamed: np.ndarray) -> list[Write]:
        kinds = {
            Destination.KEY: self._write_mean,
            Destination.VALUE: self._write_v_sum,
            Destination.KERNEL_0: self._write_k_hat_sum,
        }
        destination = Destination(command["destination"])
        return [partial(kinds[destination], command, half, streamed)] if destination in kinds else []

    def _write_mean(self, command: Command, half: int, _streamed: np.ndarray) -> None:
        rows, token = self.config.rows, np.arange(command["length"])
        features = np.arange(command["output_tiles"] * self.config.columns)
        addresses = command["destination_base"] + token // rows * command["destination_stride"]
        keys = self.keys[(token % rows)[:, np.newaxis], addresses[:, np.newaxis] + features]
        self.mean[half] = divide_round_half_up(keys.sum(axis=0) << self.config.mean_fraction, self.constants["tokens"])

    def _write_v_sum(self, command: Command, half: int, _streamed: np.ndarray) -> None:
        columns, token = self.config.columns, np.arange(command["length"])
        features = np.arange(command["output_tiles"] * columns)
        addresses = command["destination_base"] + features // columns * command["destination_stride"]
        self.v_sum[half] = self.value[features % columns, addresses + token[:, np.newaxis]].sum(axis=0)

    def _write_k_hat_sum(self, command: Command, half: int, streamed: np.ndarray) -> None:
        within = np.arange(streamed.shape[1]) < command["stationary_limit"]
        self.k_hat_sum[half] = streamed[:, within].sum(axis=1)


class _Softmax(Attention):
    """Softmax attention: K in the columns, by tokens; scores in the rows, and the largest one of each query."""

    name = "softmax"

    def __init__(self, config: NetworkConfig, value: np.ndarray, banks: Callable, send: Callable) -> None:
        super().__init__(config, value, banks, send)
        self.keys = banks(config.columns, config.key_column_depth, 8)
        self.scores = banks(config.rows, config.score_depth, config.score_width)
        self.maxima = banks(2, config.attention.longest_block, config.score_width)
        self.exponentials = np.zeros(0, dtype=np.int64)  # and 0 for what is beyond the table

    def begin(self, constants: Command, table: Callable[[int, int], np.ndarray]) -> None:
        super().begin(constants, table)
        # They are written when no product uses those before, whatever else is unfinished.
        entries = table(self.config.exponential_entries, EXPONENTIAL_BYTES).astype(np.int64)
        self.exponentials = np.append(entries & ((1 << self.config.exponential_width) - 1), 0)

    def stationary(self, source: Stationary) -> np.ndarray:
        return self.value if source == Stationary.KERNEL_0 else self.keys

    def streamed(self, addresses: np.ndarray, half: int) -> np.ndarray:
        count, beyond = addresses.shape[1], len(self.exponentials) - 1
        scores = self.scores[:, addresses].transpose(2, 1, 0).reshape(count, -1)
        # Where there is no token there is anything; the stationary operand is zero there.
        differences = self.maxima[half, :count, np.newaxis] - scores
        return self.exponentials[np.where(differences < 0, beyond, np.minimum(differences, beyond))]

    def write_key(self, command: Command, activation: np.ndarray, places: np.ndarray) -> None:
        columns, token = self.config.columns, np.arange(len(activation))
        addresses = command["destination_base"] + token // columns * self.constants["key_stride"]
        self.keys[(token % columns)[:, np.newaxis], addresses[:, np.newaxis] + places] = activation

    def write_total(self, command: Command, total: np.ndarray, tile: int, half: int, streamed: np.ndarray) -> None:
        if command["destination"] == Destination.KERNEL_1:
            t_d = streamed[:, : command["stationary_limit"]].sum(axis=1)
            self.divide(command, total, t_d, tile)
            return
        config, constants, count = self.config, self.constants, len(total)
        scores = saturate(rounded(total, np.array(constants["shift_s"])), config.score_width)  # (queries, C)
        token = tile * config.columns + np.arange(config.columns)
        there = token < constants["tokens"]  # columns beyond the last token write nothing
        token, scores = token[there], scores[:, there]
        first = command["destination_base"] + token // config.rows * command["destination_stride"]
        self.scores[token % config.rows, first + np.arange(count)[:, np.newaxis]] = scores
        largest = scores.max(axis=1, initial=-(1 << (config.score_width - 1)))
        self.maxima[half, :count] = np.maximum(self.maxima[half, :count], largest) if tile else largest


#: The kernels, by their names.
ATTENTIONS: dict[str, type[Attention]] = {each.name: each for each in (_Taylor, _Softmax)}
