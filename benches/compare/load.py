"""One load of redis-benchmark, and what it has measured itself."""

import csv
from dataclasses import dataclass

from .processes import LOOPBACK, Failure, last_words


@dataclass(frozen=True)
class Load:
    """What redis-benchmark says of a load that has ended."""

    per_second: float
    p50_ms: float
    p99_ms: float


def run_load(processes, program, port, workload, requests, seconds_max):
    """Runs `requests` of a workload against a port of loopback."""
    arguments = [
        program,
        *("-h", LOOPBACK),
        *("-p", str(port)),
        *("-c", str(workload.clients)),
        *("-P", str(workload.pipeline)),
        *("-r", str(workload.keys)),
        *("-n", str(requests)),
        *("--csv", "--precision", "3"),
        *workload.command,
    ]
    text = processes.run("redis-benchmark", arguments, seconds_max)
    rows = list(csv.reader(line for line in text.splitlines() if line.startswith('"')))
    if len(rows) != 2:
        raise Failure(f"redis-benchmark gave no figures: {last_words(text)}")
    said = dict(zip(*rows))
    return Load(float(said["rps"]), float(said["p50_latency_ms"]), float(said["p99_latency_ms"]))
