"""`bundle client`"""

from __future__ import annotations

from pathlib import Path

import click

from .. import console
from ..tags import Target


@click.command()
@click.argument("target", default=".", type=Target(bundles=True))
@click.option(
    "--lang",
    "language",
    default="",
    type=click.Choice(["", "python", "typescript"]),
    metavar="[python|typescript]",
    help="Language.  [what the ending of FILE says]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write, or a folder for it.  [stdout]",
)
@click.option(
    "--ca",
    metavar="FILE",
    default="",
    help="Authorities to believe when TARGET is a URL, PEM.  [the system's]",
)
@click.option(
    "--cert", metavar="FILE", default="", help="Certificate to show to the server at that URL, PEM."
)
@click.option("--key", metavar="FILE", default="", help="Its key, when it is not in the same file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    target: str, *, language: str, output: Path | None, ca: str, cert: str, key: str, as_json: bool
) -> None:
    """Write a typed client of TARGET: a bundle, a folder, module:Class, or the URL of a running server.

    One file that needs no tiffin: Python with its standard library (and numpy where there are arrays), or
    TypeScript with fetch. TIFFIN_CLIENT_TOKEN is the token for a server that wants one.
    """
    from ...bundler.client_code.place import file_name, language_of, put
    from ...bundler.client_code.source import document_of
    from ...bundler.client_code.write import client_code
    from ...runtime.client.options import Trust

    language = language_of(output, language)
    with console.progress("read the schema", quiet=as_json or output is None):
        document = document_of(target, Trust(ca, cert, key))
        text = client_code(document, language)
    service = document["info"]["title"]
    if output is None:
        if as_json:
            console.emit_json({"service": service, "language": language, "code": text})
        else:
            click.echo(text, nl=False)
        return
    path = output / file_name(document, language) if output.is_dir() else output
    put(path, text)
    apis = sorted(document["paths"])
    if as_json:
        written = {"service": service, "language": language, "path": str(path.absolute()), "apis": apis}
        console.emit_json(written)
        return
    console.panel(
        f"Wrote a {'Python' if language == 'python' else 'TypeScript'} client of {service}",
        [("file", path), ("lines", text.count("\n")), ("apis", ", ".join(apis))],
    )
