"""Groups of commands: imported when used, and helpful about misspelt names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DEBUG = "tiffin.debug"
"""Key in `Context.meta`: True once `--debug` was given, at whatever level."""


class Group(click.Group):
    """A `click.Group` that suggests the nearest name and takes `--debug` after the command too.

    Use it for nested groups: `@click.group(cls=Group)`.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            accept_debug(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self.list_commands(ctx), n=3, cutoff=0.5)
            raise click.UsageError(f"no such command {name!r}; {did_you_mean(near)}", ctx)
        return super().resolve_command(ctx, args)


def did_you_mean(near: Sequence[str]) -> str:
    """The end of a sentence about an unknown name."""
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "see --help"


class Entry(NamedTuple):
    """Where a command lives and the line that `--help` shows, so that help imports nothing."""

    module: str
    help: str


class LazyGroup(Group):
    """A group whose commands are imported when they are called.

    Args:
        table: name to entry, in the order of `--help`; the module (relative to `cli`) has it as `command`.
    """

    def __init__(self, *, table: Mapping[str, Entry], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.table and cmd_name not in self.commands:
            module = import_module(self.table[cmd_name].module, __package__)
            self.add_command(module.command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.help)
            for name, entry in self.table.items()
            if name.startswith(incomplete)
        ]
        # Not click.Group's: it would import every command for its help line.
        return names + click.Command.shell_complete(self, ctx, incomplete)


def debug_option(*, hidden: bool) -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        hidden=hidden,
        is_eager=True,
        callback=_remember_debug,
        help="Show the traceback of an error (also: TIFFIN_DEBUG=1).",
    )


def accept_debug(command: click.Command) -> None:
    """Lets `--debug` stand after the command's name as well as before it."""
    if not any("--debug" in option.opts for option in command.params):
        command.params.append(debug_option(hidden=True))


def _remember_debug(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG] = True
