"""Latencies of the network accelerator that its cycles depend on, asked of the blocks themselves.

A pass is taken by the streamer in a cycle, called 0 here; element e of it is then in SA-Diag's and the columns' control
`result` + e cycles later, and so on down the table. Each number is from one event to another, in cycles.
"""

from dataclasses import dataclass
from functools import lru_cache

from taylorvit.rtl.network.config import NetworkConfig
from taylorvit.rtl.network.engine import NetworkEngine
from taylorvit.rtl.network.tape.decoder import TapeDecoder

__all__ = ["Latencies", "latencies_of"]


@dataclass(frozen=True)
class Latencies:
    """The table.

    Attributes:
        result (int): from the cycle in which a pass is taken to its first element's result in front of column 0.
        constants_free (int): from a result that begins an output tile until constants of another one may be loaded.
        linear (int): from a result to the pulse that says that its total is written, in all columns.
        retire (int): from such a pulse until products count as finished by those that wait for them.
        wait (int): from what a pass waits for until it may be taken.
        residual_drain (int): from the last element of a pass for the residual stream until embeddings may be written.
        prepared (int): from a result of the last output tile until its token may be sent through a LayerNorm.
        norm_begin (int): from the last one of all before being finished to the first token.
        norm_written (int): from a token until its tile counts as written, if it is the tile's last one.
        value (int): Taylor: from the last result of an output tile until its sums over tokens begin to be collected.
        means (int): Taylor: from the last of these sums to the first row of means in the divider array.
        mean (int): Taylor: from a row of means in the divider array to the pulse that says that they are known.
        biases (int): Taylor: from the last sum of V to the pulse that says that the biases are there, and a cycle each.
        g (int): Taylor: from a result to the pulse that says that it is written into G, in all columns.
        key_written (int): softmax: from the last result of K to the pulse that says that it is written.
        value_written (int): softmax: from the last result of V to the pulse that says that it is written.
        scores (int): softmax: from the last result of scores to the pulse that says that they and the maxima are there.
        row (int): from a result until its row may enter the divider array.
        z (int): from a row in the divider array to the pulse that says that it is written.
        row_leaves (int): from a row in the divider array until its place in the row queue is free for a pass.
        places_return (int): from the end of a pass that gives fewer rows than it promised, `length` cycles after it was
            taken, until the other places in the row queue are free for a pass.
        ring (int): from reading a row of the tape until its place may be written again.
        row_written (int): from the last word of a row of the tape until it may be read.
        check (int): from the last word of a command to the first cycle in which it may be given out.
        command (int): from a command's being there until it may be taken.
        table (int): from the end of the last product that uses a table until another one may be written.
        crc (int): from the last word of a tape to the first cycle in which END may be given out.
        divider_interval (int): between two rows in the divider array.
        norm_interval (int): between two tokens that are prepared.
        token_interval (int): between two tokens of a LayerNorm.
    """

    result: int
    constants_free: int
    linear: int
    retire: int
    wait: int
    residual_drain: int
    prepared: int
    norm_begin: int
    norm_written: int
    row: int
    z: int
    row_leaves: int
    places_return: int
    ring: int
    row_written: int
    check: int
    command: int
    table: int
    crc: int
    divider_interval: int
    norm_interval: int
    token_interval: int
    value: int = 0
    means: int = 0
    mean: int = 0
    biases: int = 0
    g: int = 0
    key_written: int = 0
    value_written: int = 0
    scores: int = 0


@lru_cache(maxsize=64)
def latencies_of(config: NetworkConfig) -> Latencies:
    """The latencies of an accelerator.

    Args:
        config (NetworkConfig): its configuration.
    """
    engine = NetworkEngine(config)
    column, kernel, statistics = engine.column, engine.kernel, engine.norm_statistics
    decoder = TapeDecoder(config)
    columns = config.columns
    diagonal = kernel.diagonal
    place_latency = diagonal.places.latency
    # From the scheduler's decision about a row to its quotients in column 0.
    write_back = 1 + (1 + kernel.column.write_back_delay - place_latency)
    return Latencies(
        result=2 + config.rows + engine.accumulate_delay,
        constants_free=2,
        linear=columns + column.activation_latency + engine.logit_delay,
        retire=2,
        wait=engine.streamer.wait_latency,
        residual_drain=engine.drain,
        prepared=1 + column.sums_delay + columns + statistics.latency + engine.norm_scheduler.ready_latency,
        norm_begin=1,
        norm_written=statistics.read_latency + 1 + columns + column.norm_latency,
        **(_of_taylor(engine, write_back + place_latency) if "taylor" in config.kernels else {}),
        **(_of_softmax(engine) if "softmax" in config.kernels else {}),
        row=diagonal.accumulator.latency + 1,
        z=write_back + place_latency + columns - 1,
        row_leaves=3,
        places_return=4,
        ring=columns,
        row_written=1 + decoder.row_latency,
        check=decoder.check_latency + 1,
        command=engine.loader.command_latency,
        table=1 + decoder.table.release_latency,
        crc=4,
        divider_interval=config.attention.divider_row_interval,
        norm_interval=config.norm_interval,
        token_interval=engine.norm_scheduler.interval,
    )


def _of_taylor(engine: NetworkEngine, mean: int) -> dict[str, int]:
    """Latencies of Taylor attention; `mean` is from a row in the divider array to its quotients in column 0."""
    column, kernel, columns = engine.column, engine.kernel, engine.config.columns
    center = kernel.center
    return {
        "value": 1 + column.value_latency + 2,
        "means": 1,
        "mean": mean + columns + 1,
        "biases": 2 + center.bias_unit.multiplier.latency + center.sums.latency + 3 + center.bias_unit.chain_registers,
        "g": columns + column.total_latency + kernel.column.requantizer.latency,
    }


def _of_softmax(engine: NetworkEngine) -> dict[str, int]:
    """Latencies of softmax attention."""
    column, kernel, columns = engine.column, engine.kernel, engine.config.columns
    center = kernel.center
    return {
        # Behind the turner, a register in front of each bank and one in the bank's column.
        "key_written": columns + column.value_latency + center.key_turner.latency + 2,
        "value_written": columns + column.value_latency + 1,
        "scores": columns + column.total_latency + kernel.column.score_latency + 1 + center.row_maxima.finish_latency,
    }
