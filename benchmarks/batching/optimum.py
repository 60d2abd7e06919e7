"""The least mean latency that any policy reaches with one worker and Poisson arrivals.

A semi-Markov decision process over the rows that wait when the worker is idle, solved by policy iteration:
cost is the number of rows in the system, so that its average is the mean latency times the rate (Little).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .service import Service

Floats = NDArray[np.floating[Any]]


def optimum(service: Service, rate: float, max_rows: int, longest: int = 384) -> tuple[float, list[int]]:
    """(mean latency in seconds, rows to send for each number that waits; 0: wait for one more)."""
    quantiles = [0.1, 0.3, 0.5, 0.7, 0.9] if service.noise else [0.5]
    sigma = service.noise
    factors = np.array([np.exp(sigma * NormalDist().inv_cdf(q)) for q in quantiles])
    factors /= factors.mean()
    means = np.array([service.mean(n) for n in range(1, max_rows + 1)])
    second = means**2 * (np.exp(sigma * sigma) if sigma else 1.0)
    arrivals = np.stack([_poisson(rate * mean * factors, longest) for mean in means])
    # Starts from batches at the knee: larger ones could be unstable, and have no average.
    sizes = np.minimum(np.arange(longest + 1), service.best_rows(max_rows))
    gain = 0.0
    for _ in range(60):
        gain, value = _evaluate(sizes, rate, means, second, arrivals, longest)
        better = _improve(sizes, gain, value, rate, means, second, arrivals, longest)
        if (better == sizes).all():
            break
        sizes = better
    return gain / rate, [int(size) for size in sizes]


def _poisson(means: Floats, longest: int) -> Floats:
    """Mixture of Poisson probabilities; what lies beyond `longest` is put on it."""
    counts = np.arange(1, longest + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(counts))])
    result = np.zeros(longest + 1)
    for mean in means:
        result += np.exp(np.arange(longest + 1) * np.log(max(mean, 1e-300)) - mean - logs)
    result /= len(means)
    result[-1] += max(0.0, 1.0 - result.sum())
    return result


def _row(left: int, arrivals: Floats, longest: int) -> Floats:
    """Probabilities of the next state, from `left` rows not sent."""
    row = np.zeros(longest + 1)
    row[left:] = arrivals[: longest + 1 - left]
    row[-1] += arrivals[longest + 1 - left :].sum()
    return row


def _evaluate(
    sizes: NDArray[np.int64], rate: float, means: Floats, second: Floats, arrivals: Floats, longest: int
) -> tuple[float, Floats]:
    matrix = np.zeros((longest + 1, longest + 1))
    seconds = np.zeros(longest + 1)
    cost = np.zeros(longest + 1)
    for waiting in range(longest + 1):
        size = int(sizes[waiting])
        if size == 0:
            matrix[waiting, min(waiting + 1, longest)] = 1.0
            seconds[waiting] = 1 / rate
            cost[waiting] = waiting / rate
        else:
            matrix[waiting] = _row(waiting - size, arrivals[size - 1], longest)
            seconds[waiting] = means[size - 1]
            cost[waiting] = waiting * means[size - 1] + rate * second[size - 1] / 2
    # value = cost - gain * seconds + matrix @ value, value[0] = 0
    system = np.eye(longest + 1) - matrix
    system[:, 0] = seconds
    solved: Floats = np.linalg.solve(system, cost)
    gain = float(solved[0])
    solved[0] = 0.0
    return gain, solved


def _improve(
    sizes: NDArray[np.int64],
    gain: float,
    value: Floats,
    rate: float,
    means: Floats,
    second: Floats,
    arrivals: Floats,
    longest: int,
) -> NDArray[np.int64]:
    states = np.arange(longest + 1)
    best = (states - gain) / rate + value[np.minimum(states + 1, longest)]
    best[-1] = np.inf
    choice = np.zeros(longest + 1, dtype=np.int64)
    padded = np.concatenate([value, np.full(longest, value[-1])])
    for size in range(1, len(means) + 1):
        after = np.convolve(padded, arrivals[size - 1][::-1], mode="valid")[: longest + 1]
        total = np.full(longest + 1, np.inf)
        total[size:] = (
            (states[size:] - gain) * means[size - 1]
            + rate * second[size - 1] / 2
            + after[: longest + 1 - size]
        )
        better = total < best - 1e-9
        best[better] = total[better]
        choice[better] = size
    # Keep the old choice where it is as good, so that the iteration ends.
    choice[0] = 0
    return choice if (choice != sizes).any() else sizes
