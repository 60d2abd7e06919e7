"""`bundle completion bash|zsh|fish`"""

from __future__ import annotations

import click

from .. import console


@click.command(epilog='For bash, in ~/.bashrc:  eval "$(bundle completion bash)"')
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish); source it in the shell's start-up file."""
    from click.shell_completion import ShellComplete, get_completion_class

    root = ctx.find_root()
    # `python -m tiffin` is three words, which no shell completes by; the installed command is.
    program = root.info_name if root.info_name and " " not in root.info_name else "bundle"
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click has no completion for {shell}", ctx)
    variable = f"_{program.replace('-', '_').replace('.', '_').upper()}_COMPLETE"
    # Not bash's own `source`: it starts a bash to see its version, which may not be the one that is meant.
    console.say(ShellComplete.source(kind(root.command, {}, program, variable)))
