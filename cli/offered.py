"""Words that a shell offers where others may be typed, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

Complete = Callable[[click.Context, click.Parameter, str], list[str]]
"""click's `shell_complete`"""


def offered(words: Callable[[], Iterable[str]]) -> Complete:
    """
    Args:
        words: called when somebody presses Tab.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
        return sorted(word for word in words() if word.startswith(incomplete))

    return complete
