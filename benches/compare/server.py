"""The one Redis of a run: on loopback, without persistence, filled with what the workloads ask for."""

import re

from . import workloads
from .conversation import Conversation
from .processes import LOOPBACK, Failure, free_port, wait_until

READY_SECONDS = 15.0
FILL_AT_ONCE = 500


class Server:
    """A running redis-server, with a connection of our own that asks it what it has seen."""

    def __init__(self, processes, program, clients_max):
        self.port = free_port()
        self.process = processes.start(
            "redis-server",
            [
                program,
                *("--bind", LOOPBACK),
                *("--port", str(self.port)),
                *("--save", ""),
                *("--appendonly", "no"),
                *("--maxclients", str(clients_max)),
                *("--tcp-backlog", "4096"),
            ],
        )
        self._control = wait_until("redis-server is ready", READY_SECONDS, self._try)

    def fill(self):
        """Puts all keys there."""
        small = [(workloads.small_key(number), workloads.SMALL_BYTES) for number in range(workloads.SMALL_KEYS)]
        large = [(workloads.large_key(number), workloads.LARGE_BYTES) for number in range(workloads.LARGE_KEYS)]
        keys = small + large
        for start in range(0, len(keys), FILL_AT_ONCE):
            part = keys[start : start + FILL_AT_ONCE]
            self._control.send(("SET", key, b"v" * length) for key, length in part)
            for _ in part:
                self._control.reply()

    def info(self, section, field):
        """A number of INFO."""
        text = self._control.ask("INFO", section).decode()
        found = re.search(rf"^{field}:(\d+)", text, re.MULTILINE)
        if not found:
            raise Failure(f"INFO {section} of the server has no {field}")
        return int(found.group(1))

    def commands(self):
        """Commands that it has run so far, our own question included."""
        return self.info("stats", "total_commands_processed")

    def clients(self):
        """Connections that it has now, without ours."""
        return self.info("clients", "connected_clients") - 1

    def _try(self):
        if self.process.poll() is not None:
            raise Failure("redis-server has ended at once")
        try:
            return Conversation(self.port, 60.0)
        except OSError:
            return None
