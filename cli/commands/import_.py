"""`bundle import`"""

from __future__ import annotations

from pathlib import Path

import click

from .. import console


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(path: Path, as_json: bool) -> None:
    """Take a bundle from a file into the store; every byte is checked before it is there."""
    from ...bundler import bundles
    from ...bundler.words import digest_words, size_words
    from ..bundle_facts import facts

    with console.progress(f"import {path.name}", quiet=as_json) as progress:
        bundle = bundles.import_(
            path, on_progress=lambda done, total: progress.update(done=done, total=total)
        )
    if as_json:
        console.emit_json(facts(bundle))
        return
    console.panel(
        f"Imported {bundle.tag}",
        [
            ("digest", digest_words(bundle.info.digest)),
            ("size", size_words(bundle.info.size_bytes)),
            ("models", ", ".join(bundle.info.models) or "none"),
            ("path", bundle.path),
        ],
        [f"bundle serve {bundle.tag}", f"bundle show {bundle.tag}"],
    )
