"""`bundle sign`"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shlex import quote
from typing import Any

import click

from .. import console
from ..tags import BundleTag

PASSPHRASE = "TIFFIN_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable


@click.command(
    epilog=f"The passphrase of an encrypted key comes from ${PASSPHRASE}, else it is asked for.",
)
@click.argument("tag", type=BundleTag(), required=False)
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Private key in PEM to sign with (Ed25519).",
)
@click.option(
    "--new-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="KEY.PEM",
    help="Make a key first: KEY.PEM, which is yours alone, and KEY.pub.pem for everybody.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(tag: Any, key: Path | None, new_key: Path | None, as_json: bool) -> None:
    """Sign a bundle, so that others can tell that it is yours and unchanged.

    With --new-key and no TAG only the key is made.
    """
    from ...bundler import signing
    from ...runtime.signatures import key_name

    if key is not None and new_key is not None:
        raise click.UsageError("--key and --new-key exclude each other")
    if tag is None and new_key is None:
        raise click.UsageError("name a bundle: bundle sign iris:latest --key key.pem")
    if key is None and new_key is None:
        raise click.UsageError("--key is missing; bundle sign --new-key key.pem makes one")
    result: dict[str, object] = {}
    if new_key is not None:
        made = signing.new_key(new_key, os.environ.get(PASSPHRASE, "").encode())
        result |= {"key": key_name(made.key), "private": str(made.private), "public": str(made.public)}
        key = new_key
    if tag is not None and key is not None:
        from ...bundler import bundles

        bundle = bundles.get(tag)
        with console.progress(f"read {bundle.tag}", total=bundle.info.size_bytes, quiet=as_json) as progress:
            signature = signing.sign(
                bundle.tag,
                key,
                ask=_ask,
                on_progress=lambda done, total: progress.update(done=done, total=total),
            )
        result |= {"tag": str(bundle.tag), "key": key_name(signature.key), "created": signature.created}
    if as_json:
        console.emit_json(result)
        return
    steps = []
    if new_key is not None:
        steps.append(f"bundle sign {'TAG' if tag is None else 'TAG2'} --key {quote(str(new_key))}")
    public = quote(str(result.get("public", "PUB.PEM")))
    if tag is not None:
        steps += [
            f"bundle verify {result['tag']} --key {public}",
            f"bundle serve {result['tag']} --require-signed {public}",
        ]
    title = f"Signed {result['tag']}" if tag is not None else f"Made {new_key}"
    rows = [(label, result.get(label)) for label in ("key", "private", "public")]
    console.panel(title, [(label, value) for label, value in rows if value], steps)


def _ask() -> str:
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError(f"the key is encrypted, and nobody can be asked here: set {PASSPHRASE}")
    answer: str = click.prompt("Passphrase of the key", hide_input=True, err=True)
    return answer
