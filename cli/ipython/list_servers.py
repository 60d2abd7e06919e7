"""`%bundle servers`"""

from __future__ import annotations

import click

from .. import console
from .session import Session


@click.command()
@click.pass_obj
def command(session: Session) -> None:
    """List the servers that this notebook has started."""
    console.table(
        ["server", "url", "state", "pid>"],
        [
            (one.label, one.url, "running" if one.running else "stopped", one.pid if one.running else None)
            for one in session.servers
        ],
        empty="no server was started here; start one with: %bundle serve",
    )
