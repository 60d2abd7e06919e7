"""`%bundle logs`"""

from __future__ import annotations

import click

from .. import console
from .session import Session


@click.command()
@click.argument("server", required=False)
@click.option(
    "-n",
    "--lines",
    default=50,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many, the last ones.",
)
@click.pass_obj
def command(session: Session, server: str | None, lines: int) -> None:
    """Show what a server of this notebook has logged: its target or its port, when there are several."""
    text = session.servers.find(server).logs(lines)
    if text:
        console.say(text.rstrip("\n"))
    else:
        console.note("nothing was logged")
