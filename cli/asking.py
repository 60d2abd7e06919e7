"""A running server is asked for something that takes a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import console

if TYPE_CHECKING:
    import msgspec

    from ..runtime.supervisor.admin import Step
    from ..runtime.supervisor.running import Running


def ask(server: Running, question: msgspec.Struct, verb: str, *, quiet: bool) -> dict[str, Any]:
    """The facts of the answer; shows the steps to it.

    Args:
        verb: what the command does, for the bar: `reload`.

    Raises:
        TiffinError: the server refused, or is gone.
    """
    with console.progress(f"{verb} {server.identity.title}", quiet=quiet) as progress:

        def show(step: Step) -> None:
            progress.update(step.text, done=step.done, total=step.total or None)

        return server.ask(question, show)
