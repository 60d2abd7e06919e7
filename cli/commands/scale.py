"""`bundle scale`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ...errors import ConfigError
from .. import console
from ..asking import ask
from ..runner_number import RunnerNumber, one_each

if TYPE_CHECKING:
    from ...runtime.manifest import WorkerRange

API = "api"


@click.command(
    epilog="forest=1..4 lets the load decide. It holds until the server ends, reloads included.",
)
@click.argument("numbers", type=RunnerNumber(), nargs=-1, required=True, metavar="RUNNER=N...")
@click.option("--port", type=int, help="Of the server that is meant, when several run.")
@click.option("--pid", type=int, help="Of its supervisor, likewise.")
@click.option(
    "--limit-s",
    default=600.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Longest until the new processes are up, in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers before and after as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no panel.")
def command(  # noqa: PLR0917 - click passes them by name
    numbers: tuple[tuple[str, int | str | WorkerRange], ...],
    port: int | None,
    pid: int | None,
    limit_s: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Give a running server more or fewer workers: forest=4, or API processes: api=2.

    New ones are started and warmed; those to go finish what they have in hand first, so no request is lost.
    Nothing changes when a number cannot be had.
    """
    from ...runtime.service.workers import workers_words
    from ...runtime.supervisor import running
    from ...runtime.supervisor.admin import Scale

    chosen = one_each(numbers)
    processes = chosen.pop(API, None)
    if processes is not None and not isinstance(processes, int):
        raise ConfigError(f"{API}={workers_words(processes)}: API processes have a plain number, {API}=2")
    server = running.find(port=port, pid=pid)
    question = Scale(
        workers={runner: workers_words(number) for runner, number in chosen.items()},
        processes=processes,
        limit_s=limit_s,
    )
    facts = ask(server, question, "scale", quiet=quiet or as_json)
    if as_json:
        console.emit_json(facts)
    elif not quiet:
        _tell(facts)


def _tell(facts: dict[str, Any]) -> None:
    from ...bundler.words import size_words

    before = facts["before"]
    rows = []
    for name, numbers in facts["runners"].items():
        more = _range(numbers)
        if name in facts["own_bytes"]:
            more += f", {size_words(facts['own_bytes'][name])} of memory for one more"
        rows.append((name, _change(before["runners"][name]["workers"], numbers["workers"], more)))
    console.panel(
        f"Scaled {facts['title']} in {facts['seconds']:.2f} s",
        [*rows, (API, _change(before["processes"], facts["processes"], ""))],
    )


def _range(numbers: dict[str, Any]) -> str:
    least, most = numbers["least"], numbers["most"]
    return f", {least} to {most} by load" if least < most else ""


def _change(before: int, after: int, more: str) -> str:
    return f"{after}{more}" if before == after else f"{before} → {after}{more}"
