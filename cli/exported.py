"""A bundle or a model goes into one file, and the user is told what to type next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from . import console

if TYPE_CHECKING:
    from ..bundler.bundles import Bundle
    from ..runtime.model.model import Model


def export(
    item: Bundle | Model, write: Callable[..., Path], path: str | None, *, taken_by: str, as_json: bool
) -> None:
    """
    Args:
        write: `export` of the item's store.
        taken_by: the command that takes the file: `bundle import`.
    """
    from ..bundler.words import digest_words, size_words

    with console.progress(f"export {item.tag}", total=item.info.size_bytes, quiet=as_json) as bar:
        written = write(item.tag, path, on_progress=lambda done, total: bar.update(done=done, total=total))
    size_bytes = written.stat().st_size
    if as_json:
        console.emit_json({"tag": str(item.tag), "path": str(written.absolute()), "size_bytes": size_bytes})
        return
    console.panel(
        f"Exported {item.tag}",
        [("file", written), ("size", size_words(size_bytes)), ("digest", digest_words(item.info.digest))],
        [f"{taken_by} {quote(str(written))}  # on another machine"],
    )
