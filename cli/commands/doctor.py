"""`bundle doctor`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .. import console
from ..tags import Target

if TYPE_CHECKING:
    from ...bundler.doctor.finding import Finding, Report

FOUND = 1
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command()
@click.argument("target", required=False, type=Target(bundles=True))
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
@click.option("--port", default=3000, show_default=True, type=int, help="Port that would be served on.")
@click.option(
    "--import/--no-import",
    "run",
    default=True,
    help="Import the service of a project, which finds most.  [import]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(target: str | None, strict: bool, port: int, run: bool, as_json: bool) -> int:
    """Find what will bite, and the command that mends it.

    TARGET is a project folder, a bundle, a model or a model file; without one, this machine is looked at.

    Exit code 1 when an error is found.
    """
    from ...bundler.doctor.examine import examine

    with console.progress("look around", quiet=as_json):
        report = examine(target, port=port, run=run)
    if as_json:
        console.emit_json(report)
    else:
        _show(report)
        if target is None:
            _remark()
    failed = report.count("error") or (strict and report.count("warning"))
    return FOUND if failed else 0


def _show(report: Report) -> None:
    for finding in report.findings:
        _print(finding)
    for name, reason in report.skipped.items():
        console.note(f"not checked: {name}: {reason}")
    counts = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for word, number in (
            ("error", report.count("error")),
            ("warning", report.count("warning")),
            ("note", report.count("note")),
        )
        if number
    ]
    made = len(report.checks) - len(report.skipped)
    console.say(
        f"{report.target}: {', '.join(counts) or 'nothing found'} ({made} checks, {report.seconds:.1f} s)"
    )


def _print(finding: Finding) -> None:
    label: str = finding.severity
    if console.colour_on():
        label = click.style(label, fg=_COLOURS[finding.severity], bold=True)
    first, *rest = finding.what.splitlines()
    lines = [f"{label} [{finding.check}] {console.clean(first)}"]
    lines += [f"    {console.clean(line)}" for line in rest]
    if finding.where and finding.where not in finding.what:
        lines.append(f"    at    {console.clean(finding.where)}")
    if finding.mend:
        lines.append(f"    mend  {console.clean(finding.mend)}")
    click.echo("\n".join(lines))


def _remark() -> None:
    """A person who stands in a project probably meant it."""
    from pathlib import Path

    if any(Path(name).is_file() for name in ("bundlefile.yaml", "service.py")):
        console.note("Only the machine was looked at. The project here: bundle doctor .")
