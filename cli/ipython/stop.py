"""`%bundle stop`"""

from __future__ import annotations

import click

from .. import console
from .session import Session


@click.command()
@click.argument("server", required=False)
@click.option("--all", "everything", is_flag=True, help="All that this notebook has started.")
@click.pass_obj
def command(session: Session, server: str | None, everything: bool) -> None:
    """Stop a server that this notebook has started: its target or its port, when there are several.

    Requests in hand are finished first.
    """
    if everything and server:
        raise click.UsageError("name a server, or say --all")
    if everything:
        stopped = session.servers.stop_all()
    else:
        found = session.servers.find(server)
        stopped = [found] if found.running else []
        found.stop()
    for one in stopped:
        console.say(f"stopped {one.label} at {one.url}")
    if not stopped:
        console.note("nothing was running")
