"""`bundle delete`"""

from __future__ import annotations

from typing import Any

import click

from .. import console
from ..tags import BundleTag


@click.command()
@click.argument("tags", nargs=-1, required=True, metavar="TAG...", type=BundleTag())
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the deleted tags as JSON.")
def command(tags: tuple[Any, ...], yes: bool, as_json: bool) -> None:
    """Delete bundles. Models in the store stay."""
    from ...bundler import bundles

    store = bundles.bundle_store()
    found = list(dict.fromkeys(store.resolve(tag) for tag in tags))  # all must exist before one is deleted
    if not console.confirm(f"Delete {', '.join(map(str, found))}", yes=yes):
        raise click.Abort
    for tag in found:
        bundles.delete(tag)
        if not as_json:
            console.say(f"deleted {tag}")
    if as_json:
        console.emit_json({"deleted": [str(tag) for tag in found]})
