"""Processes of a run: started without a terminal, measured, and ended by their own ids, whatever happens.

Processor time is what the scheduler has counted (`/proc/<pid>/task/*/schedstat`, nanoseconds): the
clock ticks of `utime` miss whatever sleeps before each tick comes, as a proxy does.
"""

import atexit
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1"

# What ends a run. Its handlers raise KeyboardInterrupt.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# How long a process may take to end before it is killed.
END_SECONDS = 5.0


class Failure(Exception):
    """Something could not be measured; its text says what and why."""


class Processes:
    """All children of this run. Leaving the context ends those that still run."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._running = []

    def __enter__(self):
        for number in INTERRUPTS:
            signal.signal(number, _interrupt)
        # For an interrupt in the very moment in which the context is left.
        atexit.register(self._end_all)
        return self

    def __exit__(self, *_):
        self._end_all()

    def _end_all(self):
        # Nobody who presses Ctrl-C twice may leave processes behind.
        for number in INTERRUPTS:
            signal.signal(number, signal.SIG_IGN)
        for process in list(self._running):
            self.end(process)

    def start(self, name, arguments):
        """A child in a session of its own: Ctrl-C reaches only the run, which then ends it."""
        log = self.log_of(name)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NARROWS_")}
        with open(log, "wb") as output, _interrupts_held_back():
            try:
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self._folder,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise Failure(f"{name} does not start: {error}") from None
            self._running.append(process)
        return process

    def run(self, name, arguments, seconds_max):
        """Runs a child to its end and gives what it has written to its output and its errors."""
        process = self.start(name, arguments)
        try:
            status = process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            raise Failure(f"{name} has not ended within {seconds_max:.0f} s") from None
        finally:
            self.end(process)
        text = self.log_of(name).read_text(errors="replace")
        if status != 0:
            raise Failure(f"{name} ended with {status}: {last_words(text)}")
        return text

    def end(self, process):
        """Asks it to end, and kills it if it does not."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self._running:
            self._running.remove(process)

    def log_of(self, name):
        """Where a child of this name writes."""
        return self._folder / f"{name}.log"


@contextmanager
def _interrupts_held_back():
    """Between the start of a child and the list that it is ended from nothing may come."""
    came = []
    before = {number: signal.signal(number, lambda *_: came.append(True)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        _interrupt()


def _interrupt(*_):
    raise KeyboardInterrupt


def last_words(text):
    """The end of a log on one line."""
    return " ".join(text.split())[-200:]


def free_port():
    """A port of loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]


def cpu_ns(process):
    """Processor time of all threads of a process so far; 0 for no process."""
    if process is None:
        return 0
    total = 0
    for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except OSError:
            continue  # a thread that has just ended
    return total


def rss_kib(process):
    """Resident memory of a process; 0 for no process."""
    if process is None:
        return 0
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
    return int(found.group(1)) if found else 0


def machine_busy_seconds():
    """Processor time that anything on this machine has used so far."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def wait_until(what, seconds_max, condition):
    """Polls until the condition gives something true, and gives that."""
    deadline = time.monotonic() + seconds_max
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds_max:.0f} s")
        time.sleep(0.02)
