"""How much of a queue to send, so that all its callers together wait least."""

from __future__ import annotations

from math import ceil, sqrt

from .service_times import ServiceTimes


def part_of(rows: float, most: float, idle: int, *, workers: int, rate: float, times: ServiceTimes) -> float:
    """How many of `rows` to send, up to `most`.

    A batch of c rows makes the queue shorter by c - rate * s(c), and everybody in it waits s(c): so each row
    less costs queue * s(c) / (c - rate * s(c)), and half a batch more, for its first rows wait for its last.
    With s(c) = fixed + row * c the least is where 2 * queue * fixed = s(c) (c - rate * s(c)).

    Args:
        idle: workers that have nothing to do.
        workers: all that are up.
        rate: rows a second that arrive.
        times: s(c), as learned.
    """
    workers = max(1, workers)
    fixed, row = times.shape.fixed, times.shape.row
    rate /= workers
    load = rate * row
    if row <= 0 or load >= 1:
        return most
    queue = (rows + max(0, workers - idle) * times.mean_rows) / workers
    square, linear = row * (1 - load), fixed * (1 - 2 * load)
    constant = fixed * (rate * fixed + 2 * queue)
    size = (sqrt(linear * linear + 4 * square * constant) - linear) / (2 * square)
    part = times.shape.whole(max(1, ceil(size)))
    # What was measured must bear it out: a part that is too small to keep up is worse than all.
    return part if part < most and rate * times(part) < part else most
