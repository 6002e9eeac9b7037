"""What a run has found, and its JSON, in which every sample of every round can be read."""

import json
from dataclasses import asdict, dataclass, field


@dataclass
class Result:
    """A run: what it was made on, and what came of it so far."""

    machine: str
    python: str
    rounds: int
    seconds: float
    workloads: list
    # The contenders, Redis alone first.
    names: list
    versions: dict
    # A sentence for each peer that takes no part.
    left_out: list
    idle_clients: int
    # By row and contender, one for each round.
    samples: dict = field(default_factory=dict)
    # Why, by row and contender.
    failed: dict = field(default_factory=dict)
    idle: dict = field(default_factory=dict)
    idle_failed: dict = field(default_factory=dict)


def json_of(result):
    """The same as text, with keys of one word where there were pairs."""
    whole = asdict(result)
    whole["failed"] = {f"{letter} {name}": why for (letter, name), why in result.failed.items()}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
