"""`bundle token`"""

from __future__ import annotations

from pathlib import Path

import click

from .. import console

_SCOPES = ("predict", "manage", "metrics", "all")


@click.command(epilog="The server knows the digest only: who loses the token gets a new one.")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("predict",),
    show_default=True,
    type=click.Choice(_SCOPES),
    help="What it is good for. Repeatable.",
)
@click.option(
    "--until", default="", help="Last day on which it holds, 2027-01-31, in UTC.  [default: for good]"
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add its line to this file, that bundle serve --auth-file reads.",
)
@click.option("--json", "as_json", is_flag=True, help="Print token and line as JSON.")
def command(name: str, scopes: tuple[str, ...], until: str, file: Path | None, as_json: bool) -> None:
    """Make a token for the caller NAME, and the line for the server's file of tokens.

    Both are printed this once: the token is kept nowhere.
    """
    from ...runtime.auth.issue import add, issue
    from ...runtime.auth.tokens import SCOPES

    issued = issue(name, SCOPES if "all" in scopes else scopes, until)
    if file is not None:
        add(file, issued.line)
    if as_json:
        console.emit_json(issued._asdict())
        return
    console.say(issued.token)
    if file is None:
        console.say(issued.line)
        console.note("The first line is for the caller, the second for the file that --auth-file names.")
    else:
        console.note(f"For the caller: it is shown only now. A server that reads {file} knows it in 2 s.")
