"""`bundle export`"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import click

from .. import console
from ..tags import BundleTag


@click.command()
@click.argument("tag", type=BundleTag())
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(tag: Any, path: Path | None, as_json: bool) -> None:
    """Write a bundle, its models included, to one file.

    PATH is a file (gzipped when it ends in .gz or .tgz) or a folder; default: NAME-VERSION.tar here.
    """
    from ...bundler import bundles
    from ...bundler.words import digest_words, size_words

    bundle = bundles.get(tag)
    with console.progress(f"export {bundle.tag}", total=bundle.info.size_bytes, quiet=as_json) as progress:
        written = bundles.export(
            bundle.tag, path, on_progress=lambda done, total: progress.update(done=done, total=total)
        )
    size_bytes = written.stat().st_size
    if as_json:
        console.emit_json({"tag": str(bundle.tag), "path": str(written.absolute()), "size_bytes": size_bytes})
        return
    console.panel(
        f"Exported {bundle.tag}",
        [("file", written), ("size", size_words(size_bytes)), ("digest", digest_words(bundle.info.digest))],
        [f"bundle import {quote(str(written))}  # on another machine"],
    )
