"""The `bundle` command: a table of commands, and the one place where errors become text and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..errors import TiffinError
from . import console
from .group import DEBUG, Entry, LazyGroup, debug_option, did_you_mean

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, what shells expect

COMMANDS = {
    "init": Entry(".commands.init", "Write a small project, or carry one over from BentoML."),
    "build": Entry(".commands.build", "Make a bundle: service, models and dependencies, one version."),
    "list": Entry(".commands.list", "List bundles."),
    "show": Entry(".commands.show", "Show what a bundle holds."),
    "delete": Entry(".commands.delete", "Delete bundles."),
    "export": Entry(".commands.export", "Write a bundle to one file."),
    "import": Entry(".commands.import_", "Take a bundle from a file into the store."),
    "verify": Entry(
        ".commands.verify", "Check every file of a bundle against its digest, and its signatures."
    ),
    "sbom": Entry(".commands.sbom", "Print what a bundle is made of, for scanners."),
    "diff": Entry(".commands.diff", "Show what differs between two bundles, and what breaks callers."),
    "check": Entry(".commands.check", "Try a bundle in a clean environment made from its lock."),
    "sign": Entry(".commands.sign", "Sign a bundle, or make a key to sign with."),
    "models": Entry(".commands.models", "List, show, save, delete, export and import models."),
    "serve": Entry(".commands.serve", "Serve a folder, module:Class or bundle over HTTP."),
    "scale": Entry(".commands.scale", "Give a running server more or fewer workers."),
    "reload": Entry(".commands.reload", "Swap a running server to another bundle; no request is lost."),
    "batching": Entry(".commands.batching", "Explain how a running server batches."),
    "token": Entry(".commands.token", "Make a token for a caller of a server."),
    "containerize": Entry(".commands.containerize", "Make a container image of a bundle."),
    "run": Entry(".commands.run", "Start the image of a bundle and wait until it is ready."),
    "client": Entry(".commands.client", "Write a typed client: one Python or TypeScript file."),
    "doctor": Entry(".commands.doctor", "Find what will bite, and the command that mends it."),
    "completion": Entry(".commands.completion", "Print the completion script of a shell."),
}


_MENDS = {
    errno.EACCES: "check whose it is and its permissions; TIFFIN_HOME names the folder of the store",
    errno.EPERM: "check whose it is and its permissions; TIFFIN_HOME names the folder of the store",
    errno.EROFS: "give a folder that can be written; TIFFIN_HOME names that of the store",
    errno.ENOSPC: "free some space; TIFFIN_HOME moves the store, TMPDIR temporary files to another disk",
    errno.EMFILE: "raise the limit of open files: ulimit -n 65536",
    errno.ENAMETOOLONG: "give a shorter name",
}
"""What to do about errors of the system that no command has foreseen."""


class Root(LazyGroup):
    """The outermost group: its `main` lets no traceback out unless asked to, and always exits."""

    _meta: dict[str, Any] | None = None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        self._meta = None
        try:
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except Exception as error:  # noqa: BLE001 - the last resort of the process
            sys.exit(report(error, debug=self.debugging()))
        # A command may return its exit code; `ctx.exit(code)` comes back the same way.
        sys.exit(result if type(result) is int else 0)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        context = super().make_context(info_name, args, parent, **extra)
        self._meta = context.meta  # shared with the contexts below, and alive after they are closed
        return context

    def debugging(self) -> bool:
        """Whether the traceback of an error is wanted."""
        return os.environ.get("TIFFIN_DEBUG", "") not in {"", "0"} or bool((self._meta or {}).get(DEBUG))


def report(error: Exception, *, debug: bool) -> int:
    """Writes an error for a person to stderr and returns the exit code that belongs to it."""
    if isinstance(error, click.Abort):
        # click turns ^C into Abort, and raises the same where a question is answered with no.
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            return INTERRUPTED
        console.error("aborted")
        return FAILED
    if isinstance(error, BrokenPipeError):
        _drop_stdout()
        return FAILED
    if debug:
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        _report_usage(error)
        return error.exit_code
    if isinstance(error, TiffinError):
        console.error(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        mend = _MENDS.get(error.errno or 0)
        console.error(f"{error.strerror}{where}{f'; {mend}' if mend else ''}")
    else:
        console.error(f"{type(error).__name__}: {error}")
        console.note("This is a bug in tiffin, or in the code that it ran.")
    if not debug:
        console.note("Run again with --debug to see where it comes from.")
    return FAILED


def _report_usage(error: click.ClickException) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":  # click ≥ 8.2: a group called without a command
        error.show()
        return
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities or []
        console.error(f"no such option {error.option_name!r}; {did_you_mean(near)}")
    else:
        console.error(error.format_message())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        console.note(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help'.")


def _drop_stdout() -> None:
    """The reader of our pipe is gone: what is still buffered must not fail again when Python exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _print_version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"tiffin {__version__} (Python {sys.version.split()[0]})")
        ctx.exit()


root = Root(
    name="bundle",
    table=COMMANDS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a trained model to a running service.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version.",
        ),
        debug_option(hidden=False),
    ],
)


def program_name() -> str:
    """What the user typed: `bundle`, `tiffin` or `python -m tiffin`."""
    name = Path(sys.argv[0]).name
    return "python -m tiffin" if name == "__main__.py" else name.removesuffix(".exe")


def main() -> None:
    """Entry point of `bundle`, `tiffin` and `python -m tiffin`. Always ends in `SystemExit`."""
    root.main(prog_name=program_name())
