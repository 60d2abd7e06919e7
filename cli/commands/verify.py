"""`bundle verify`"""

from __future__ import annotations

from typing import Any

import click

from .. import console
from ..tags import BundleTag

DAMAGED = 1


@click.command()
@click.argument("tag", type=BundleTag())
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(tag: Any, as_json: bool) -> int:
    """Check every file of a bundle against its digest.

    Exit code 1 when a file is changed, missing or not listed.
    """
    from ...bundler import bundles
    from ...bundler.words import size_words

    bundle = bundles.get(tag)
    with console.progress(f"verify {bundle.tag}", total=bundle.info.size_bytes, quiet=as_json) as progress:
        damage = bundles.verify(
            bundle.tag, on_progress=lambda done, total: progress.update(done=done, total=total)
        )
    if as_json:
        console.emit_json(
            {
                "tag": str(bundle.tag),
                "ok": not damage,
                "digest": bundle.info.digest,
                "files": len(bundle.info.files),
                "damage": [one._asdict() for one in damage],
            }
        )
    elif damage:
        console.table(["file", "what"], damage)
        console.error(f"{bundle.tag} is damaged: {len(damage)} files")
    else:
        size = size_words(bundle.info.size_bytes)
        console.say(f"{bundle.tag} is whole: {len(bundle.info.files)} files, {size}")
    return DAMAGED if damage else 0
