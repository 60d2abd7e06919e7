"""Fly.io: https://fly.io/docs/reference/configuration/

It sends SIGINT, which drains as well, and kills after `kill_timeout`: 5 s unless said."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="fly",
    title="Fly.io",
    second_port=True,
    signs=("FLY_APP_NAME",),
    drain_s=4.0,
)
