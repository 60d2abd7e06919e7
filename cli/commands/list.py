"""`bundle list`"""

from __future__ import annotations

import click

from .. import console


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List bundles, newest first; with NAME only its versions."""
    from ...bundler import bundles
    from ...bundler.words import digest_words, size_words, time_words
    from ..bundle_facts import facts

    found = sorted(bundles.list(name), key=lambda one: (one.info.created, one.tag), reverse=True)
    if as_json:
        console.emit_json([facts(bundle) for bundle in found])
        return
    console.table(
        ["tag", "size>", "created (UTC)", "models", "digest"],
        [
            (
                bundle.tag,
                size_words(bundle.info.size_bytes),
                time_words(bundle.info.created),
                ", ".join(bundle.info.models),
                digest_words(bundle.info.digest),
            )
            for bundle in found
        ],
        empty=f"no bundle {name!r}" if name else "no bundles yet; make one with: bundle build",
    )
