"""Who takes part: Redis alone, narrows in one build or several, and the peers that are found.

Each proxy runs with one thread for its clients and otherwise with its defaults, and is started
afresh for each of its runs. The peers' configurations are the templates in `peers/`.
"""

import shutil
import string
from dataclasses import dataclass
from pathlib import Path

from .conversation import Conversation, Refused
from .machine import version_of
from .processes import LOOPBACK, Failure, free_port, last_words, wait_until
from .workloads import SMALL_BYTES, small_key

DIRECT = "direct"
NARROWS = "narrows"

READY_SECONDS = 15.0

# Another program may take a free port before its owner does.
ATTEMPTS_MAX = 3

_TEMPLATES = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Contender:
    """A proxy by its command line, whose words may hold `${listen_port}` and its like."""

    name: str
    program: str
    arguments: tuple
    # The file of `peers/` that `${configuration}` is made of.
    template: str = ""
    version_flag: str = "--version"

    def version(self):
        """The number that it says itself."""
        return version_of(self.program, self.version_flag)


# What stands behind the listening address differs, what it is given does not.
_NARROWS_ARGUMENTS = (
    *("--listen", "${listen_host}:${listen_port}"),
    *("--backend", "redis://${server_host}:${server_port}"),
    *("--admin-listen", "${listen_host}:0"),
    *("--workers", "1"),
)

# Name, program, and how it is told its configuration.
PEERS = (
    Contender("haproxy", "haproxy", ("-db", "-f", "${configuration}"), "haproxy.cfg", "-v"),
    Contender(
        "twemproxy",
        "nutcracker",
        ("-c", "${configuration}", "-a", "${listen_host}", "-s", "${spare_port}"),
        "twemproxy.yml",
    ),
    Contender("predixy", "predixy", ("${configuration}",), "predixy.conf"),
    Contender(
        "envoy",
        "envoy",
        ("-c", "${configuration}", "--concurrency", "1", "--disable-hot-restart", "-l", "error"),
        "envoy.yml",
    ),
)


@dataclass(frozen=True)
class Started:
    """A contender at work: where its clients go, and its process, none for Redis alone."""

    port: int
    process: object = None


def narrows_of(name, program):
    """A build of narrows."""
    return Contender(name, program, _NARROWS_ARGUMENTS)


def found_peers(paths, skipped):
    """The peers that are there, and a sentence for each that is not; `paths` has those given by a flag."""
    found, left_out = [], []
    for peer in PEERS:
        program = paths.get(peer.name) or shutil.which(peer.program)
        if peer.name in skipped:
            left_out.append(f"{peer.name}, as asked")
        elif program is None:
            left_out.append(f"{peer.name}: no `{peer.program}` on the PATH, nor one by `--{peer.name}`")
        else:
            found.append(Contender(peer.name, program, peer.arguments, peer.template, peer.version_flag))
    return found, left_out


def start(contender, processes, server, folder, clients_max):
    """Starts a contender in front of the server and waits until it gives a value of the server's."""
    if contender is None:
        return Started(server.port)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        port = free_port()
        words = {
            "listen_host": LOOPBACK,
            "listen_port": port,
            "server_host": LOOPBACK,
            "server_port": server.port,
            "spare_port": free_port(),
            "clients_max": clients_max,
        }
        if contender.template:
            configuration = Path(folder) / contender.template
            text = string.Template((_TEMPLATES / contender.template).read_text()).substitute(words)
            configuration.write_text(text)
            words["configuration"] = configuration
        arguments = [string.Template(argument).substitute(words) for argument in contender.arguments]
        process = processes.start(contender.name, [contender.program, *arguments])
        try:
            wait_until(f"{contender.name} is ready", READY_SECONDS, lambda: _gives_a_value(process, port))
            return Started(port, process)
        except Failure as failure:
            processes.end(process)
            if attempt == ATTEMPTS_MAX:
                log = processes.log_of(contender.name).read_text(errors="replace")
                raise Failure(f"{failure}; it says: {last_words(log)}") from None
    raise AssertionError("an attempt either starts it or fails")


def _gives_a_value(process, port):
    if process.poll() is not None:
        raise Failure("it has ended at once")
    try:
        with Conversation(port, 5.0) as client:
            return client.ask("GET", small_key(0)) == b"v" * SMALL_BYTES
    except (OSError, Refused):
        return False
