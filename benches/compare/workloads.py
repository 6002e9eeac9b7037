"""The rows of the comparison: who asks for what, and the data that there is to ask for.

Each is a closed loop of redis-benchmark: every client sends its next requests when the replies to
the last ones are there. How such a load is run stands in `load`.
"""

from dataclasses import dataclass

SMALL_KEYS = 100_000
SMALL_BYTES = 64
LARGE_KEYS = 2_000
LARGE_BYTES = 16 * 1024

# redis-benchmark puts twelve digits here, afresh for each request.
DRAWN = "__rand_int__"


@dataclass(frozen=True)
class Workload:
    """A row: its letter, what it says to a reader, and the load."""

    letter: str
    title: str
    clients: int
    pipeline: int
    keys: int
    command: tuple
    # Requests of the warm-up, which also shows how many fit into the time of a run.
    warm_up: int


def small_key(number):
    """The name of a key that holds `SMALL_BYTES`."""
    return f"small:{number:012d}"


def large_key(number):
    """The name of a key that holds `LARGE_BYTES`."""
    return f"large:{number:012d}"


_GET = ("GET", f"small:{DRAWN}")
_SET = ("SET", f"small:{DRAWN}", "v" * SMALL_BYTES)
_GET_LARGE = ("GET", f"large:{DRAWN}")
_MGET = ("MGET", *[f"small:{DRAWN}"] * 10)

WORKLOADS = (
    Workload("a", "GET of 64 B, 50 clients", 50, 1, SMALL_KEYS, _GET, 10_000),
    Workload("b", "GET of 64 B, 1,000 clients", 1000, 1, SMALL_KEYS, _GET, 10_000),
    Workload("c", "SET of 64 B, 1,000 clients", 1000, 1, SMALL_KEYS, _SET, 10_000),
    Workload("d", "GET of 64 B, 50 clients, pipelines of 16", 50, 16, SMALL_KEYS, _GET, 50_000),
    Workload("e", "GET of 64 B, 1,000 clients, pipelines of 16", 1000, 16, SMALL_KEYS, _GET, 64_000),
    Workload("f", "GET of 16 KiB, 50 clients", 50, 1, LARGE_KEYS, _GET_LARGE, 5_000),
    Workload("g", "MGET of 10 keys of 64 B, 50 clients", 50, 1, SMALL_KEYS, _MGET, 5_000),
    Workload("h", "GET of 64 B, one client", 1, 1, SMALL_KEYS, _GET, 2_000),
)
