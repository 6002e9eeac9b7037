"""What the programs for tests/compat/libraries share: waiting for a condition, and the line that says
what came of the jobs. It knows no library."""

import asyncio
import json
import os
import sys
import time

PORT = int(sys.argv[1])
# The file of whoever has signed the certificate of PORT, where that speaks TLS.
AUTHORITY = os.environ.get("TEST_TLS_AUTHORITY")
CLIENTS = 20


def eventually(probe):
    """Polls until `probe` is true."""
    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.002)


async def awaited(probe):
    """The same, of what has to be awaited itself."""
    deadline = time.monotonic() + 20
    while not await probe():
        assert time.monotonic() < deadline, "not within 20 s"
        await asyncio.sleep(0.002)


def failure(act):
    """The text of the error that `act` ends with."""
    try:
        return repr(act())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def plain(value):
    """What JSON has no word for, in words."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, (set, frozenset)):
        return sorted(plain(part) for part in value)
    return str(value)


def keyed(value):
    """The same with texts as keys."""
    if isinstance(value, dict):
        return {plain(key): keyed(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [keyed(part) for part in value]
    return value


def report(library, version, jobs):
    """Says what came of the jobs, and keeps all connections until the input ends."""
    line = {"library": library, "version": version, "jobs": keyed(jobs)}
    print(json.dumps(line, default=plain), flush=True)
    sys.stdin.read()
