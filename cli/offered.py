"""Words that a shell offers where others may be typed, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from ..errors import TiffinError

Complete = Callable[[click.Context, click.Parameter, str], list[str]]
"""click's `shell_complete`"""

_PLATFORMS = ("linux/amd64", "linux/arm64")


def offered_platforms(*, several: bool = False) -> Complete:
    """
    Args:
        several: whether one word may stand for more than one of them.
    """
    return offered(lambda: ("all", *_PLATFORMS, ",".join(_PLATFORMS)) if several else _PLATFORMS)


def offered(words: Callable[[], Iterable[str]]) -> Complete:
    """
    Args:
        words: called when somebody presses Tab.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
        try:
            return sorted(word for word in words() if word.startswith(incomplete))
        except TiffinError:  # the command says what is wrong, once it is typed
            return []

    return complete
