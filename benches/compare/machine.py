"""What a run was made on: figures of two machines do not compare."""

import os
import platform
import re
import resource
import subprocess
from pathlib import Path


def describe_machine():
    """Processor, cores, memory and kernel in a sentence."""
    information = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", information, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {model.group(1) if model else platform.machine()}, "
        f"{int(memory.group(1)) / 1024 / 1024:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}"
    )


def versions(server, benchmark, contenders):
    """What each program says of itself, by its name."""
    said = {"redis-server": version_of(server, "--version"), "redis-benchmark": version_of(benchmark, "--version")}
    said.update((contender.name, contender.version()) for contender in contenders)
    return said


def version_of(program, flag):
    """The first version number in what a program says of itself, whatever stands around it."""
    said = subprocess.run([program, flag], capture_output=True, text=True, timeout=30)
    found = re.search(r"\d+(\.\d+)+[\w.+~-]*", said.stdout + said.stderr)
    return found.group(0) if found else "unknown"


def raise_open_files():
    """Takes all the descriptors that this process may have, and says how many those are."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
