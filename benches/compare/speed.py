"""Speed: rounds of all workloads against all contenders, in an order that turns by one each round.

A round measures every contender once per workload, so that what the machine does to one round it
does to all of them alike, and figures are compared within a round only.
"""

import resource
import sys
import time
from dataclasses import dataclass

from .contenders import start
from .load import run_load
from .processes import Failure, cpu_ns, machine_busy_seconds

# However fast it goes and however long it is asked to.
REQUESTS_MAX = 10_000_000

WARM_UP_SECONDS_MAX = 60.0

# Of the requests of a load, so many must have reached Redis: none may have been answered elsewhere.
REACHED_LEAST = 0.99


@dataclass(frozen=True)
class Sample:
    """One load through one contender. Times are microseconds of processor time for each request."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    proxy_us: float
    redis_us: float
    # Cores that were busy with anything else than the load, the contender and Redis.
    other_cores: float


def measure_speed(bench, workloads, rounds, seconds):
    """Samples by row and contender, one for each round; a row that has failed ends with what it had."""
    samples = {workload.letter: {name: [] for name in bench.names} for workload in workloads}
    failed = {}
    for number in range(1, rounds + 1):
        first = (number - 1) % len(bench.names)
        for workload in workloads:
            for name in bench.names[first:] + bench.names[:first]:
                if (workload.letter, name) in failed:
                    continue
                try:
                    sample = _sample(bench, name, workload, seconds)
                except Failure as failure:
                    failed[workload.letter, name] = str(failure)
                    _say(f"round {number} {workload.letter} {name}: {failure}")
                    continue
                samples[workload.letter][name].append(sample)
                _say(
                    f"round {number} {workload.letter} {name:<12} {sample.per_second:9.0f} /s, "
                    f"proxy {sample.proxy_us:6.2f} us, Redis {sample.redis_us:6.2f} us, "
                    f"others {sample.other_cores:4.2f} cores"
                )
    return samples, failed


def _sample(bench, name, workload, seconds):
    """Starts the contender afresh, warms it up, and loads it for about so many seconds."""
    started = start(bench.contenders[name], bench.processes, bench.server, bench.folder, bench.clients_max)
    try:
        def load(requests, seconds_max):
            return run_load(bench.processes, bench.benchmark, started.port, workload, requests, seconds_max)

        warm = load(workload.warm_up, WARM_UP_SECONDS_MAX)
        requests = int(min(max(warm.per_second * seconds, workload.warm_up), REQUESTS_MAX))
        # Clients of the warm-up are gone from everywhere before the load begins.
        time.sleep(0.1)
        before = _Reading(bench, started)
        measured = load(requests, 10 * seconds + WARM_UP_SECONDS_MAX)
        used = _Reading(bench, started).since(before)
        if used.commands < REACHED_LEAST * requests:
            raise Failure(f"Redis has seen {used.commands} of {requests} requests")
        return Sample(
            requests=requests,
            per_second=measured.per_second,
            p50_ms=measured.p50_ms,
            p99_ms=measured.p99_ms,
            proxy_us=used.proxy_ns / 1000 / requests,
            redis_us=used.redis_ns / 1000 / requests,
            other_cores=used.other_cores(),
        )
    finally:
        if started.process is not None:
            bench.processes.end(started.process)


class _Reading:
    """All counters at one moment, or what they have moved by between two."""

    def __init__(self, bench, started):
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.at = time.monotonic()
        self.commands = bench.server.commands()
        self.proxy_ns = cpu_ns(started.process)
        self.redis_ns = cpu_ns(bench.server.process)
        self.load_seconds = ours.ru_utime + ours.ru_stime
        self.busy_seconds = machine_busy_seconds()

    def since(self, before):
        """Turns this reading into the difference to an earlier one."""
        for field, value in vars(before).items():
            setattr(self, field, getattr(self, field) - value)
        return self

    def other_cores(self):
        """Of a difference: cores busy with what is no part of the comparison."""
        part = self.load_seconds + (self.proxy_ns + self.redis_ns) / 1e9
        return max(0.0, (self.busy_seconds - part) / self.at)


def _say(line):
    print(line, file=sys.stderr, flush=True)
