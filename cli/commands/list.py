"""`bundle list`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ...errors import NotFoundError, TiffinError
from .. import console
from ..offered import offered
from ..tags import BundleTag

if TYPE_CHECKING:
    from ...runtime.tag import Tag


@click.command()
@click.argument("name", required=False, shell_complete=offered(BundleTag().names))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List bundles, newest first; with NAME only its versions."""
    from ...bundler import bundles
    from ...bundler.words import digest_words, size_words, time_words

    found = [row for row in map(_row, bundles.tags(name)) if row is not None]
    rows = sorted(found, key=lambda row: (row.get("created", ""), row["tag"]), reverse=True)
    if as_json:
        console.emit_json(rows)
        return
    console.table(
        ["tag", "size>", "created (UTC)", "models", "digest"],
        [
            (row["tag"], "", "", "", "damaged: bundle show says how")
            if "error" in row
            else (
                row["tag"],
                size_words(row["size_bytes"]),
                time_words(row["created"]),
                ", ".join(row["models"]),
                digest_words(row["digest"]),
            )
            for row in rows
        ],
        empty=BundleTag().none_of(name) if name else "no bundles yet; make one with: bundle build",
    )


def _row(tag: Tag) -> dict[str, Any] | None:
    """A damaged manifest must not hide the others. None: deleted since it was listed."""
    from ...bundler import bundles
    from ..bundle_facts import facts

    try:
        return facts(bundles.get(tag))
    except NotFoundError:
        return None
    except TiffinError as error:
        return {"tag": str(tag), "name": tag.name, "version": tag.version, "error": str(error)}
