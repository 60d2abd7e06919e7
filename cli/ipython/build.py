"""`%bundle build`: the command's own, of a class of the notebook too."""

from __future__ import annotations

from typing import Any

import click

from ..commands.build import command as shell_command
from .target import meant


class _Build(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        ctx.params["target"] = meant(ctx)
        return super().invoke(ctx)


command = _Build(
    name="build",
    params=shell_command.params,
    callback=shell_command.callback,
    help=shell_command.help,
    epilog=shell_command.epilog,
)
