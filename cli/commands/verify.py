"""`bundle verify`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...errors import IntegrityError, SignatureError
from .. import console
from ..mending import damage_hinted
from ..tags import BundleTag

DAMAGED = 1


@click.command()
@click.argument("tag", type=BundleTag())
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PUB.PEM",
    help="Demand a signature of this key. Repeatable: one of them is enough.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@damage_hinted()
def command(tag: Any, keys: tuple[Path, ...], as_json: bool) -> int:
    """Check every file of a bundle against its digest, and who signed it.

    Exit code 1 when a file is changed, missing or not listed, or none of the keys has signed it.
    """
    from ...bundler import bundles, signing
    from ...bundler.words import size_words
    from ...runtime.signatures import key_name, read_keys

    read_keys(keys)  # wrong ones are said before gigabytes are read
    bundle = bundles.get(tag)
    with console.progress(f"verify {bundle.tag}", total=bundle.info.size_bytes, quiet=as_json) as progress:
        damage = bundles.verify(
            bundle.tag, on_progress=lambda done, total: progress.update(done=done, total=total)
        )
    signer = problem = ""
    signers: list[str] = []
    try:
        signers = [key_name(one.key) for one in signing.signatures_of(bundle.tag)]
        if keys:
            signer = key_name(signing.check_signed(bundle.tag, keys).key)
    except SignatureError as error:
        problem = str(error)
    except IntegrityError as error:  # the file of signatures; it is among the damage too
        problem = str(error) if keys else ""
    if as_json:
        console.emit_json(
            {
                "tag": str(bundle.tag),
                "ok": not damage and not problem,
                "digest": bundle.info.digest,
                "files": len(bundle.info.files),
                "damage": [one._asdict() for one in damage],
                "signatures": signers,
                **({"signed_by": signer or None} if keys else {}),
            }
        )
        return DAMAGED if damage or problem else 0
    if damage:
        console.table(["file", "what"], damage)
        number = console.counted(len(damage), "file")
        console.error(f"{bundle.tag} is damaged: {number}; delete it, and import it again or build it anew")
    else:
        size = size_words(bundle.info.size_bytes)
        console.say(f"{bundle.tag} is whole: {len(bundle.info.files)} files, {size}")
    if problem:
        console.error(problem)
    elif signer:
        console.say(f"signed by {signer}")
    elif signers:
        console.say(f"says that it is signed by {', '.join(signers)}; --key checks that")
    return DAMAGED if damage or problem else 0
