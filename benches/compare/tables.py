"""The Markdown of a run: what it was made on, every row of every contender, and what is missing.

No row is left out for what it shows. What has failed, and who was not there, is said beside the rows.
"""

from .contenders import DIRECT
from .figures import rows_of, spread

_HEAD = (
    "",
    "proxy µs/op",
    "Redis µs/op",
    "(proxy + Redis) / Redis alone",
    "throughput / direct",
    "p50 / direct",
    "p99 / direct",
)


def markdown_of(result):
    """All of it, to stand below a heading of the second rank."""
    parts = [_conditions(result)]
    if result.samples:
        parts.append(_overview(result))
        parts.extend(_workload(result, workload) for workload in result.workloads)
    if result.idle or result.idle_failed:
        parts.append(_idle(result))
    return "\n\n".join(parts) + "\n"


def _conditions(result):
    others = [
        sample.other_cores
        for by_name in result.samples.values()
        for samples in by_name.values()
        for sample in samples
    ]
    text = f"Machine: {result.machine}. Python {result.python}."
    if others:
        busy = spread(others)
        text += (
            f" {result.rounds} {'round' if result.rounds == 1 else 'rounds'} of about {result.seconds:g} s a load; "
            f"of the cores, other programs had {busy.median:.2f} (median), at most {max(others):.2f}."
        )
    text += "\n\n" + _table(("program", "version"), [(name, said) for name, said in result.versions.items()])
    for sentence in result.left_out:
        text += f"\n\nLeft out: {sentence}."
    return text


def _overview(result):
    """Processor time of the proxies alone, a line for each workload."""
    names = [name for name in result.names if name != DIRECT]
    lines = []
    for workload in result.workloads:
        rows = rows_of(result.samples[workload.letter])
        cells = [f"{rows[name].proxy_us.median:.2f}" if name in rows else "–" for name in names]
        lines.append((f"{workload.letter}: {workload.title}", *cells))
    return "### Proxy µs/op at a glance\n\n" + _table(("", *names), lines)


def _workload(result, workload):
    lines, notes = [], []
    rows = rows_of(result.samples[workload.letter])
    for name in result.names:
        if name in rows:
            lines.append(_direct_cells(rows[name]) if name == DIRECT else _proxy_cells(name, rows[name]))
        if (workload.letter, name) in result.failed:
            notes.append(f"{name} failed: {result.failed[workload.letter, name]}.")
    text = f"### {workload.letter}: {workload.title}\n\n" + _table(_HEAD, lines)
    return "\n\n".join([text, *notes])


def _direct_cells(row):
    return (
        DIRECT,
        "–",
        _cell(row.redis_us),
        "1",
        f"1 ({row.per_second.median:,.0f}/s)",
        f"1 ({row.p50_ms.median:.2f} ms)",
        f"1 ({row.p99_ms.median:.2f} ms)",
    )


def _proxy_cells(name, row):
    return (
        name,
        _cell(row.proxy_us),
        _cell(row.redis_us),
        _cell(row.sum_multiple),
        _cell(row.per_second_multiple),
        _cell(row.p50_multiple),
        _cell(row.p99_multiple),
    )


def _cell(found):
    """A median and its quartiles, where there are any."""
    if found.low == found.high:
        return f"{found.median:.2f}"
    return f"{found.median:.2f} [{found.low:.2f}–{found.high:.2f}]"


def _near(value):
    """With two places, and no minus before what is nothing then."""
    return f"{round(value, 2) + 0.0:.2f}"


def _idle(result):
    lines, notes = [], []
    for name in result.names:
        if name in result.idle_failed:
            notes.append(f"{name} failed: {result.idle_failed[name]}.")
        if name not in result.idle:
            continue
        idle = result.idle[name]
        own = ("–", "–") if name == DIRECT else (f"{idle.base_kib / 1024:.1f}", f"{idle.client_kib:.2f}")
        lines.append((name, *own, _near(idle.redis_client_kib), f"{idle.redis_connections:,}"))
        if idle.closes_for:
            notes.append(f"{name} closes a client for {', '.join(idle.closes_for)}: without, here.")
    head = ("", "proxy before, MiB", "proxy a client, KiB", "Redis a client, KiB", "connections to Redis")
    text = f"### Memory of {result.idle_clients:,} idle clients\n\n" + _table(head, lines)
    return "\n\n".join([text, *notes])


def _table(head, lines):
    """The first column to the left, the others to the right unless they hold words."""
    words = len(head) == 2
    rule = ("---", *["---" if words else "--:"] * (len(head) - 1))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))
