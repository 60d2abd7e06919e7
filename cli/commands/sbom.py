"""`bundle sbom`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import console
from ..tags import BundleTag


@click.command()
@click.argument("tag", type=BundleTag())
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File to write it to.")
def command(tag: Any, output: Path | None) -> None:
    """Print what a bundle is made of, for scanners: CycloneDX 1.5 as JSON.

    Packages of the locks for all of its platforms, tiffin, and the models with their files. The base of an
    image is not part of it: it can be chosen anew for each image.
    """
    from ...bundler import bundles
    from ...bundler.image.bundle_sbom import bundle_sbom

    bundle = bundles.get(tag)
    text = bundle_sbom(bundle)
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    console.note(f"wrote the SBOM of {bundle.tag} to {output}")
