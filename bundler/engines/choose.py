"""Which engine: the one that was asked for, else the first that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...errors import ImageError, MissingDependencyError, NoEngineError
from . import buildah, docker, nerdctl, podman
from .engine import Engine

ENGINES: dict[str, Callable[[], Engine]] = {
    "docker": docker.find,
    "podman": podman.find,
    "buildah": buildah.find,
    "nerdctl": nerdctl.find,
}
"""In the order in which they are tried."""
INSTALL = (
    "install Docker (https://docs.docker.com/engine/install/, with: pip install 'tiffin[docker]') or Podman "
    "(https://podman.io/docs/installation)"
)


class Choice(NamedTuple):
    engine: Engine
    reason: str
    """Why this one: `podman 4.3.1 answers; docker is not installed`."""


def choose(name: str = "") -> Choice:
    """
    Args:
        name: of an engine; empty: the first that answers.

    Raises:
        NoEngineError: none answers, or not the one that was asked for; says what each of them said.
    """
    reasons: list[str] = []
    for each in [name] if name else ENGINES:
        try:
            engine = ENGINES[each]()
        except (ImageError, MissingDependencyError) as error:  # noqa: PERF203 - each has a reason
            reasons.append(str(error))
        else:
            said = f"{engine.name} {engine.version} answers"
            return Choice(engine, "; ".join([said, *reasons]))
    if name:
        other = "leave --engine out to take another"
        todo = f"install it, or {other}" if "not installed" in reasons[0] else other
        raise NoEngineError(f"{name} cannot be used: {reasons[0]}; {todo}")
    raise NoEngineError(f"no container engine answers: {'; '.join(reasons)}. To get one: {INSTALL}")
