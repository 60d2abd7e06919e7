"""`%bundle serve`: in a process of its own, with the options of the command."""

from __future__ import annotations

from contextlib import ExitStack

import click
from click.core import ParameterSource

from ...errors import UsageError
from .. import console
from ..commands.serve import command as shell_command
from .server import Server
from .session import Session
from .target import meant

_WORDS = "tiffin.words"
_TELLING = {"as_json", "quiet"}
"""Options that change how the command tells what happens, which is said here anyway."""


class _Serve(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Server:
        session: Session = ctx.obj
        typed, target = ctx.params["target"], meant(ctx)
        words: list[str] = ctx.meta[_WORDS]
        given = ctx.get_parameter_source("target") is not ParameterSource.DEFAULT
        if given:
            words.remove(typed)
        with ExitStack() as held:
            if isinstance(target, type):
                if ctx.params["reload"]:
                    raise UsageError(
                        f"--reload watches files, and {target.__name__} is of a cell: run the cell, and "
                        "%bundle serve again"
                    )
                label, (text, written) = target.__name__, _written(target, held)
            else:
                label = text = target
                written = ""
            server = session.servers.start(
                label,
                [*words, text],
                held.pop_all(),
                written=written,
                port_given=ctx.get_parameter_source("port") is not ParameterSource.DEFAULT,
                host=ctx.params["host"],
            )
        if session.surface is None:
            console.panel(f"Serving {label}", server.facts(), server.next_steps())
        return server


def _written(cls: type, held: ExitStack) -> tuple[str, str]:
    """A class as source files, for as long as the server runs.

    Returns:
        `folder/module.py:Class`, and the folder when it was written for this; empty: it is the user's.
    """
    from ...bundler.origin import origin_of

    origin = held.enter_context(origin_of(cls))
    for note in origin.notes:
        console.note(note)
    module, _, name = origin.target.service.partition(":")
    folder = origin.target.source
    return f"{folder}/{module.replace('.', '/')}.py:{name}", folder if origin.generated else ""


def _params() -> list[click.Parameter]:
    return [param for param in shell_command.params if param.name not in _TELLING]


command: click.Command = _Serve(
    name="serve",
    params=_params(),
    callback=None,
    help=f"{shell_command.help or ''}\n\nIn the background, until %bundle stop or the end of the notebook's "
    "kernel. Served again, it takes the place of the one before.",
)
