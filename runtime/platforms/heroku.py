"""Heroku: https://devcenter.heroku.com/articles/dynos

The router asks `$PORT` within 60 s of the start; after SIGTERM there are 30 s."""

from __future__ import annotations

from .platform import Platform

PLATFORM = Platform(
    name="heroku",
    title="Heroku",
    signs=("DYNO",),
)
