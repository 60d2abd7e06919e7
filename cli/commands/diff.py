"""`bundle diff`, and what `bundle models diff` shares with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .. import console
from ..tags import BundleTag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...bundler.diff.bundles import BundleDiff
    from ...bundler.diff.change import Change, Delta
    from ...bundler.diff.models import ModelDiff

DIFFERENT = 1
SHOWN = 40
"""Rows of a table; --json has all."""
fail_on = click.option(
    "--fail-on",
    type=click.Choice(["breaking", "any"]),
    help="Exit with 1 when something breaks callers, or when anything differs.  [never]",
)


@click.command()
@click.argument("a", type=BundleTag())
@click.argument("b", type=BundleTag())
@fail_on
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(a: Any, b: Any, fail_on: str | None, as_json: bool) -> int:
    """Show what differs from bundle A to bundle B: routes, packages, models, metrics, files, image, origin.

    What breaks callers is named one by one, and first.
    """
    from ...bundler import bundles
    from ...bundler.diff.bundles import diff_bundles

    found = diff_bundles(bundles.get(a), bundles.get(b))
    if as_json:
        emit(found)
    else:
        _tell(found)
    return exit_code(found, fail_on)


def exit_code(found: BundleDiff | ModelDiff, fail_on: str | None) -> int:
    """1 when that is what the caller wants to be told by it."""
    if fail_on == "any":
        return DIFFERENT if found else 0
    return DIFFERENT if fail_on == "breaking" and found.breaking else 0


def emit(found: BundleDiff | ModelDiff) -> None:
    """As JSON."""
    import msgspec

    breaking = len(found.breaking)
    console.emit_json({**msgspec.to_builtins(found), "differs": bool(found), "breaking": breaking})


def tell_model(found: ModelDiff) -> None:
    """A model, for people."""
    _title(f"{found.a} → {found.b}", found)
    _schema("method", found.schema)
    _table("metric", [("", found.metrics)])
    _table("fact", [("", found.facts)])
    _table("version", [("", found.versions)])
    _table("file", [("", found.files)])
    _table("origin", [("", found.origin)])


def _tell(found: BundleDiff) -> None:
    _title(f"{found.a} → {found.b}", found)
    _schema("route", found.schema)
    _table("package", found.packages.items(), several=len(found.packages) > 1)
    rows = [("removed", tag) for tag in found.models_removed] + [("added", tag) for tag in found.models_added]
    if rows:
        console.say("")
        console.table(["model", "tag"], rows)
    for model in found.models:
        console.say("")
        tell_model(model)
    _table("metric", [("", found.metrics)])
    _table("runner", [("", found.runners)])
    _table("image", [("", found.image)])
    _table("setting", [("", found.settings)])
    _table("file", [("", found.files)])
    _table("origin", [("", found.origin)])


def _title(title: str, found: BundleDiff | ModelDiff) -> None:
    if not found:
        console.say(f"{title}: no difference")
        return
    breaking = len(found.breaking)
    what = f"{breaking} breaking change{'s'[: breaking != 1]}" if breaking else "nothing that breaks callers"
    console.say(f"{title}: {what}{'; the same digest' if found.same else ''}")


def _schema(noun: str, changes: Sequence[Change]) -> None:
    if changes:
        console.say("")
        console.table(
            ["", noun, "change"],
            [("BREAKING" if change.breaking else "", change.path, change.what) for change in changes],
        )


def _table(noun: str, parts: Iterable[tuple[str, Delta]], *, several: bool = False) -> None:
    rows: list[tuple[str, ...]] = []
    for name, part in parts:
        lines = [(key, "", value) for key, value in part.added.items()]
        lines += [(key, value, "") for key, value in part.removed.items()]
        lines += [(key, old, new) for key, (old, new) in part.changed.items()]
        rows += [(name, *line) if several else line for line in sorted(lines)]
    if not rows:
        return
    console.say("")
    head = [noun, "was", "is"]
    console.table(["lock", *head] if several else head, rows[:SHOWN])
    if len(rows) > SHOWN:
        console.say(f"and {len(rows) - SHOWN} more: --json has all")
