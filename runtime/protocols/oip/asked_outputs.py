"""Outputs that a request names, whatever carries it."""

from __future__ import annotations

from collections.abc import Container, Sequence

from ....errors import InvalidInputError
from ...service.options import nearest


def check_output(name: str, known: Sequence[str], before: Container[str], path: str) -> None:
    """Raises InvalidInputError, at `path`, when there is no such output, or when it was named `before`."""
    if name not in known:
        shown = name[:100]
        raise InvalidInputError(
            f"unexpected output {shown!r}{nearest(shown, known)} (outputs: {', '.join(known)})",
            path=f"{path}.name",
        )
    if name in before:
        raise InvalidInputError(f"output {name!r} is there twice", path=f"{path}.name")
