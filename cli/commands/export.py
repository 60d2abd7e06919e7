"""`bundle export`"""

from __future__ import annotations

from typing import Any

import click

from .. import exported
from ..tags import BundleTag


@click.command()
@click.argument("tag", type=BundleTag())
@click.argument("path", required=False, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(tag: Any, path: str | None, as_json: bool) -> None:
    """Write a bundle, its models included, to one file.

    PATH is a file (gzipped when it ends in .gz or .tgz) or a folder; default: NAME-VERSION.tar here.
    """
    from ...bundler import bundles

    exported.export(bundles.get(tag), bundles.export, path, taken_by="bundle import", as_json=as_json)
