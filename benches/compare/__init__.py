"""The comparison: Redis alone beside narrows beside its peers, on one machine in one run.

`scripts/compare-speed` runs it, `docs/performance.md` says what its figures mean. Python's standard
library is all that it needs. It reads from the top down: `__main__` composes `speed` (rounds of
loads) and `idle` (memory of idle clients) over the `contenders`; `figures` and `tables` say what
came of it. Nothing here knows more of narrows than its flags.
"""
