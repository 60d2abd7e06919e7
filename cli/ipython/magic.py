"""`%bundle` and `%%bundle`: the command inside of a notebook."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from typing import Any

import click

from ...errors import TiffinError, UsageError
from .. import console
from ..group import Entry, did_you_mean
from ..main import COMMANDS, Root, root
from .cell import run_service_cell
from .session import Session

NOTEBOOK_COMMANDS = {
    "build": Entry(".ipython.build", COMMANDS["build"].help),
    "serve": Entry(".ipython.serve", "Serve in the background, for as long as the notebook's kernel lives."),
    "servers": Entry(".ipython.list_servers", "List the servers that this notebook has started."),
    "logs": Entry(".ipython.logs", "Show the log of such a server."),
    "stop": Entry(".ipython.stop", "Stop such a server."),
}
"""What is another command in a notebook than in a shell, or is only here."""

commands = Root(
    name="bundle",
    table={**COMMANDS, **NOTEBOOK_COMMANDS},
    no_args_is_help=True,
    context_settings=root.context_settings,
    help="From a trained model to a running service. Where TARGET is left out, it is the service of this "
    "notebook: the one whose cell begins with %%bundle service, or the only one.",
    params=root.params,
)


class BundleMagic:
    """The `bundle` command, in this process: `%bundle --help`, `%bundle build`, `%bundle serve` …

    `%%bundle service [CLASS] [--name NAME]` at the top of a cell runs it and marks the service that it
    defines: later commands without a target mean this one.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, line: str, cell: str | None = None) -> Any:
        """
        Raises:
            TiffinError: the command failed; shown without a traceback.
            Exception: a bug in tiffin, or in the code that it ran.
        """
        __tracebackhide__ = True
        surface = self._session.surface
        with console.drawn_on(surface) if surface is not None else nullcontext():
            try:
                words = shlex.split(line)
                if cell is not None:
                    return run_service_cell(self._session, words, cell)
                return self._run(words or ["--help"])
            except click.ClickException as error:
                if type(error).__name__ == "NoArgsIsHelpError":  # click ≥ 8.2: a group without a command
                    click.echo(error.format_message())
                    return None
                raise _without_traceback(UsageError(_usage(error))) from None
            except ValueError as error:  # a quote that is not closed
                raise _without_traceback(UsageError(f"%bundle {line}: {error}")) from None
            except TiffinError as error:
                raise _without_traceback(error) from None

    def _run(self, words: list[str]) -> Any:
        if words[:1] == ["service"]:
            raise UsageError(
                "service belongs on the first line of the cell that defines it: %%bundle service"
            )
        result = commands.main(words, prog_name="%bundle", standalone_mode=False, obj=self._session)
        if type(result) is int:
            if result:
                raise TiffinError(f"%bundle {shlex.join(words)} ended with exit code {result}")
            return None
        return result


def _usage(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        message = f"no such option {error.option_name!r}; {did_you_mean(error.possibilities or [])}"
    else:
        message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message += f"\n{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help'."
    return message


def _without_traceback(error: TiffinError) -> TiffinError:
    """The frames of the magic explain nothing; IPython shows what this method gives, and fails the cell."""
    if not commands.debugging():
        text = f"error: {console.clean(error)}"
        error._render_traceback_ = lambda: [text]  # type: ignore[attr-defined]  # IPython looks for it
    return error
