"""The place in docs/performance.md where the last run stands: between two comments, and nothing else."""

from pathlib import Path

from .processes import Failure

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"

BEGIN = "<!-- figures begin -->"
END = "<!-- figures end -->"


def read_document():
    """What stands before the place and behind it."""
    text = DOCUMENT.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Failure(f"{DOCUMENT.name} has no place between {BEGIN} and {END}")
    return before, after


def write_document(markdown):
    """Puts a run in the place of the one before."""
    before, after = read_document()
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{markdown}\n{END}{after}")
