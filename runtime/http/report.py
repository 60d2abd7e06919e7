"""An explanation of batching as lines of text, for the log and for terminals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

BLOCKS = " ▏▎▍▌▋▊▉█"
BAR_CELLS = 24
HOLDS = {"hold": "for callers that come back soon", "spread": "so that workers do not run in step"}


def report(process: Mapping[str, Any]) -> str:
    """One process, as `explanation.of_process` gives it."""
    lines = [f"batching of {process['process']}, generation {process['generation']}"]
    for runner, told in process["runners"].items():
        for name, method in told["methods"].items():
            lines += [f"{runner}.{name}: {summary(method)}"]
            lines += [f"  {line}" for line in _details(method)]
    if len(lines) == 1:
        lines.append("no runners: nothing is batched")
    return "\n".join(lines)


def summary(method: Mapping[str, Any]) -> str:
    """`1,204 batches, 18,020 rows, 15.0 a batch, 3 rows wait, 420 rows/s arrive`"""
    if not method["reasons"]:
        return "no batches yet"
    batches, rows = sum(method["reasons"].values()), method["rows"]
    return (
        f"{batches:,} batch{'es' if batches != 1 else ''}, {rows:,} rows, {rows / batches:.1f} a batch, "
        f"{method['waiting']:g} {unit(method)} wait, {method['arrival_rate']:,.0f} {unit(method)}/s arrive"
    )


def unit(method: Mapping[str, Any]) -> str:
    """What the policy counts."""
    return "rows" if method["unit"] == "rows" else "cost units"


def cap(method: Mapping[str, Any]) -> str:
    """`cap 24 of 64 rows (knee at 24), callers in groups of 16, at most 100 ms, 2 workers`"""
    most, now = method["max_rows"], method["cap"]
    rows = f"cap {now:g} {unit(method)}" if now == most else f"cap {now:g} of {most:g} {unit(method)}"
    if not method["batch"]:
        rows = "one call at a time"
    elif method["service_s"]:
        rows += f" ({method['shape']})"
    if method["group"] is not None:
        rows += f", callers in groups of {method['group']:g}"
    limit = method["max_latency_s"]
    latency = "no latency limit" if limit is None else f"at most {limit * 1000:g} ms"
    workers = method["workers"]
    return f"{rows}, {latency}, {workers} worker{'s' if workers != 1 else ''}"


def headings(method: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Of the first four that `curve` gives."""
    size = "rows" if method["unit"] == "rows" else "cost"
    return size, "ms", f"{size}/s", "batches"


def curve(method: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """What was learned, smallest batch first: size, ms, size a second, batches, and a bar of the pace."""
    learned = [each for each in method["service_s"] if each["seconds"] > 0]
    best = max((each["rows"] / each["seconds"] for each in learned), default=0.0)
    for each in learned:
        pace = each["rows"] / each["seconds"]
        seconds = milliseconds(each["seconds"])
        yield f"{each['rows']:.1f}", seconds, f"{pace:,.0f}", f"{each['samples']:,}", bar(pace / best)


def reasons(method: Mapping[str, Any]) -> str:
    """`idle worker 812 (66 %), full 422 (34 %)`: the commonest first."""
    counted = method["reasons"]
    total = sum(counted.values())
    common = sorted(counted.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,} ({share(count / total)})" for name, count in common)


def held(method: Mapping[str, Any]) -> str:
    """`12 for callers that come back soon, 3 so that workers do not run in step`; empty: never."""
    decisions = method["decisions"]
    return ", ".join(f"{decisions[kind]:,} {why}" for kind, why in HOLDS.items() if decisions.get(kind))


def share(part: float) -> str:
    """`66 %`; what is there is never `0 %`."""
    return "< 1 %" if 0 < part < 0.01 else f"{100 * part:.0f} %"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1 if seconds >= 0.01 else 2}f}"


def bar(part: float) -> str:
    """A line of blocks, `part` of BAR_CELLS long."""
    whole, rest = divmod(round(part * BAR_CELLS * 8), 8)
    return ("█" * whole + BLOCKS[rest]).rstrip()


def _details(method: Mapping[str, Any]) -> Iterator[str]:
    yield cap(method)
    if method["unit"] != "rows":
        yield f"the sizes of batches are costs: {method['unit']}"
    if not method["reasons"]:
        return
    rows = [(*headings(method), ""), *curve(method)]
    if len(rows) == 1:
        yield "nothing learned yet: the first batch of a worker does not count"
    else:
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for *cells, blocks in rows:
            aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            yield f"{'  '.join(aligned)}  {blocks}".rstrip()
    yield f"left because: {reasons(method)}"
    if waited := held(method):
        yield f"held back: {waited}"
