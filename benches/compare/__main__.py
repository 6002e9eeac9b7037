"""One run from flags to tables: starts the one Redis, measures speed and memory, and tells what came of it."""

import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .arguments import parse_arguments
from .contenders import DIRECT, NARROWS, found_peers, narrows_of
from .document import read_document, write_document
from .idle import measure_idle
from .machine import describe_machine, raise_open_files, versions
from .processes import Failure, Processes
from .result import Result, json_of
from .server import Server
from .speed import measure_speed
from .tables import markdown_of
from .workloads import WORKLOADS

# What a process needs beside a descriptor for each client, or two in a proxy that connects each.
SPARE_FILES = 500


@dataclass
class Bench:
    """What every measurement needs: who takes part, the one Redis, and where processes are kept."""

    # By name; Redis alone has no proxy.
    contenders: dict
    names: list
    processes: Processes
    server: Server
    benchmark: str
    folder: Path
    clients_max: int


def main(words):
    """The exit code: 0 when every row has its figures, 1 when something failed."""
    arguments = parse_arguments(words)
    if arguments.docs:
        read_document()
    contenders, left_out = _contenders(arguments)
    programs = _needed("redis-server"), _needed("redis-benchmark")
    clients_max = (raise_open_files() - SPARE_FILES) // 2
    result = _empty_result(arguments, contenders, left_out, programs)
    if result.idle_clients > clients_max:
        left_out.append(f"idle clients beyond {clients_max:,}, by the limit of open files")
        result.idle_clients = clients_max
    with tempfile.TemporaryDirectory(prefix="compare-speed-") as folder, Processes(folder) as processes:
        server = Server(processes, programs[0], 2 * clients_max)
        server.fill()
        bench = Bench(contenders, result.names, processes, server, programs[1], Path(folder), clients_max)
        result.samples, result.failed = measure_speed(bench, result.workloads, arguments.rounds, arguments.seconds)
        if result.idle_clients:
            result.idle, result.idle_failed = measure_idle(bench, result.idle_clients)
    _tell(arguments, result)
    return 1 if result.failed or result.idle_failed else 0


def _contenders(arguments):
    """All who take part by name, in the order of the tables, and sentences about who does not."""
    found, left_out = found_peers({name: path for name, path in vars(arguments).items() if path}, arguments.skip)
    builds = [narrows_of(NARROWS, arguments.narrows)]
    builds.extend(narrows_of(name, path) for name, path in arguments.contender)
    everyone = {DIRECT: None}
    everyone.update((contender.name, contender) for contender in builds + found)
    return everyone, left_out


def _needed(program):
    path = shutil.which(program)
    if path is None:
        raise Failure(f"there is no {program} on the PATH")
    return path


def _empty_result(arguments, contenders, left_out, programs):
    return Result(
        machine=describe_machine(),
        python=platform.python_version(),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        workloads=[workload for workload in WORKLOADS if workload.letter in arguments.rows],
        names=list(contenders),
        versions=versions(*programs, [contender for contender in contenders.values() if contender]),
        left_out=left_out,
        idle_clients=arguments.idle_clients,
    )


def _tell(arguments, result):
    markdown = markdown_of(result)
    print(markdown)
    if arguments.json:
        Path(arguments.json).write_text(json_of(result))
    if arguments.markdown:
        Path(arguments.markdown).write_text(markdown)
    if arguments.docs:
        write_document(markdown)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"compare-speed: {failure}")
    except KeyboardInterrupt:
        sys.exit("compare-speed: interrupted; all that it has started is ended")
