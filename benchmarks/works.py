"""What is measured side by side: each work is one model, one form of request and a number of connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Args:
    key: short, in files.
    title: as tables show it.
    model: of `reference/reference_models.py`.
    binary: whether the row travels as JSON, or in every binary form that a peer has.
    connections: keep-alive.
    """

    key: str
    title: str
    model: str
    connections: int
    binary: bool = False


WORKS = [
    Work("W1-1", "W1 scikit-learn iris, one JSON row, one lone connection", "iris", 1),
    Work("W1-64", "W1 the same, 64 connections", "iris", 64),
    Work("W1-256", "W1 the same, 256 connections", "iris", 256),
    Work("W2-64", "W2 torch MLP 784-1024-1024-10, one JSON row, 64 connections", "mlp", 64),
    Work("W3-64", "W3 the same row in binary, 64 connections", "mlp", 64, binary=True),
    Work("W4-256", "W4 a model of 10 ms + 0.1 ms a row, one worker, 256 connections", "slow", 256),
]


def forms(work: Work, offered: list[str]) -> list[str]:
    """The forms of a peer's requests that belong to this work."""
    return [form for form in offered if (form != "json") == work.binary]
