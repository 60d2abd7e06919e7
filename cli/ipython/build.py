"""`%bundle build`: the command's own, of a class of the notebook too."""

from __future__ import annotations

from typing import Any

import click

from ..commands.build import command as shell_command
from .session import Session
from .target import meant


class _Build(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        session: Session = ctx.obj
        target = ctx.params["target"] = meant(ctx)
        if ctx.params["name"] is None:
            ctx.params["name"] = session.services.bundle_name(target)
        return super().invoke(ctx)


command = _Build(
    name="build",
    params=shell_command.params,
    callback=shell_command.callback,
    help=shell_command.help,
    epilog=shell_command.epilog,
)
