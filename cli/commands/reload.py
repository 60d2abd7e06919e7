"""`bundle reload`"""

from __future__ import annotations

from typing import Any

import click

from .. import console
from ..asking import ask
from ..tags import Target


@click.command(
    epilog="kill -HUP does the same without TARGET. Ctrl-C leaves the server to it.",
)
@click.argument("target", default="", type=Target(bundles=True))
@click.option("--port", type=int, help="Of the server that is meant, when several run.")
@click.option("--pid", type=int, help="Of its supervisor, likewise.")
@click.option(
    "--limit-s",
    default=600.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Longest until the new processes are ready, in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what serves now as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no panel.")
def command(  # noqa: PLR0917 - click passes them by name
    target: str, port: int | None, pid: int | None, limit_s: float, as_json: bool, quiet: bool
) -> None:
    """Swap a running server to TARGET: a folder, module:Class, the tag of a bundle, or a bundle's folder.

    Without TARGET: to what it serves already, looked up again, so a server of iris:latest takes the newest.
    The new processes are started and warmed before the old ones end, and no request is lost. When they do
    not start, the old ones go on serving.
    """
    from pathlib import Path

    from ...runtime.supervisor import running
    from ...runtime.supervisor.admin import Reload

    server = running.find(port=port, pid=pid)
    question = Reload(text=target, folder=str(Path.cwd()), limit_s=limit_s)
    facts = ask(server, question, "reload", quiet=quiet or as_json)
    if as_json:
        console.emit_json(facts)
    elif not quiet:
        _tell(facts)


def _tell(facts: dict[str, Any]) -> None:
    workers = sum(runner["workers"] for runner in facts["runners"].values())
    console.panel(
        f"Serving {facts['title']}: took over in {facts['seconds']:.2f} s",
        [
            ("before", facts["before"]),
            ("url", facts["url"]),
            ("routes", "  ".join(f"POST {route}" for route in facts["routes"])),
            ("processes", f"{facts['processes']} api, {console.counted(workers, 'worker')}"),
        ],
    )
