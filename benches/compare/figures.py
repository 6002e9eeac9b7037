"""From samples to figures: the median of all rounds, with its quartiles.

A multiple of Redis alone is taken within each round, before the median: rounds differ by more than
contenders do.
"""

import statistics
from dataclasses import dataclass

from .contenders import DIRECT


@dataclass(frozen=True)
class Spread:
    """A median between two quartiles; with one value all three are the same."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Row:
    """What one workload came to through one contender."""

    proxy_us: Spread
    redis_us: Spread
    # Proxy and Redis together, as a multiple of what Redis takes alone.
    sum_multiple: Spread
    per_second: Spread
    per_second_multiple: Spread
    p50_ms: Spread
    p50_multiple: Spread
    p99_ms: Spread
    p99_multiple: Spread


def spread(values):
    """The quartiles of some values, of which there is at least one."""
    values = list(values)
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def rows_of(samples):
    """The rows of one workload by contender; a contender without a sample has none."""
    alone = samples.get(DIRECT, [])
    return {name: _row(of, alone) for name, of in samples.items() if of and alone}


def _row(samples, alone):
    # A contender that has failed in a later round has fewer samples, and never other rounds.
    pairs = list(zip(samples, alone))
    return Row(
        proxy_us=spread(sample.proxy_us for sample in samples),
        redis_us=spread(sample.redis_us for sample in samples),
        sum_multiple=spread((sample.proxy_us + sample.redis_us) / direct.redis_us for sample, direct in pairs),
        per_second=spread(sample.per_second for sample in samples),
        per_second_multiple=spread(sample.per_second / direct.per_second for sample, direct in pairs),
        p50_ms=spread(sample.p50_ms for sample in samples),
        p50_multiple=spread(_ratio(sample.p50_ms, direct.p50_ms) for sample, direct in pairs),
        p99_ms=spread(sample.p99_ms for sample in samples),
        p99_multiple=spread(_ratio(sample.p99_ms, direct.p99_ms) for sample, direct in pairs),
    )


def _ratio(value, base):
    return value / base if base else float("nan")
