"""Memory of idle clients: many that each did what a client library does first, and then nothing.

Each says HELLO, CLIENT SETINFO and CLIENT SETNAME, asks for a small value and for one of 16 KiB, and
waits. What a contender closes a client for is left out for that contender, and told.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

from . import workloads
from .contenders import start
from .conversation import Conversation, Refused
from .processes import Failure, rss_kib, wait_until

# As many as a limit of 20,000 descriptors allows for a proxy that has two for each client.
CLIENTS = 9_500

IDLE_SECONDS = 5.0

GREETING = (
    ("HELLO", "3"),
    ("CLIENT", "SETINFO", "LIB-NAME", "compare"),
    ("CLIENT", "SETNAME", "idle"),
)
READS = (("GET", workloads.small_key(1)), ("GET", workloads.large_key(1)))


@dataclass(frozen=True)
class Idle:
    """What so many idle clients have cost, in KiB."""

    clients: int
    base_kib: float
    client_kib: float
    # Redis' own memory (`used_memory`), for each client of the contender.
    redis_client_kib: float
    # Connections that Redis has for them.
    redis_connections: int
    # Commands of the greeting that this contender closes a client for.
    closes_for: tuple


def measure_idle(bench, clients):
    """What idle clients cost by contender, and why there is no figure for some."""
    found, failed = {}, {}
    for name in bench.names:
        try:
            found[name] = idle = _idle(bench, name, clients)
            said = f"{idle.client_kib:.2f} KiB a client, {idle.base_kib / 1024:.1f} MiB before"
        except (Failure, OSError) as failure:
            failed[name] = said = str(failure)
        print(f"idle {name:<12} {said}", file=sys.stderr, flush=True)
    return found, failed


def _idle(bench, name, clients):
    # Those of the one before.
    wait_until("all clients have left Redis", 30.0, lambda: bench.server.clients() == 0)
    started = start(bench.contenders[name], bench.processes, bench.server, bench.folder, bench.clients_max)
    try:
        greeting = [words for words in GREETING if _survives(started.port, words)]
        time.sleep(1.0)
        base_kib, redis_bytes = rss_kib(started.process), bench.server.info("memory", "used_memory")
        with ExitStack() as held:
            for _ in range(clients):
                client = held.enter_context(Conversation(started.port))
                for words in greeting:
                    _ask(client, words)
                if [len(client.ask(*words)) for words in READS] != [workloads.SMALL_BYTES, workloads.LARGE_BYTES]:
                    raise Failure("a value of another length has come")
            time.sleep(IDLE_SECONDS)
            return Idle(
                clients=clients,
                base_kib=base_kib,
                client_kib=(rss_kib(started.process) - base_kib) / clients,
                redis_client_kib=(bench.server.info("memory", "used_memory") - redis_bytes) / 1024 / clients,
                redis_connections=bench.server.clients(),
                closes_for=tuple(" ".join(words[:2]) for words in GREETING if words not in greeting),
            )
    finally:
        if started.process is not None:
            bench.processes.end(started.process)


def _survives(port, words):
    """Whether a client may say this and go on, whatever the answer."""
    try:
        with Conversation(port) as client:
            _ask(client, words)
            return len(client.ask(*READS[0])) == workloads.SMALL_BYTES
    except (OSError, Refused):
        return False


def _ask(client, words):
    """An error is an answer too: not every server knows these."""
    try:
        client.ask(*words)
    except Refused:
        pass
