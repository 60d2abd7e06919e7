"""Targets that are no source themselves: source is written for them, for as long as a server runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import console

_NOTEBOOK = ".ipynb"


@contextmanager
def found_by_server(target: str, *, reload: bool) -> Iterator[str]:
    """
    Args:
        target: as typed.
        reload: whether what is written follows the notebook.

    Yields:
        A target that a server finds itself: the same, or `folder/service.py:Class`.

    Raises:
        TiffinError: nothing can be written for it.
    """
    if _NOTEBOOK not in target:
        yield target
        return
    from ..bundler.capture.follow import following
    from ..bundler.capture.origin import notebook_of
    from ..bundler.origin import origin_of

    with ExitStack() as held:
        origin = held.enter_context(origin_of(target))
        for note in origin.notes:
            console.note(note)
        module, _, name = origin.target.service.partition(":")
        notebook = notebook_of(target)
        if reload and notebook is not None:
            held.enter_context(following(notebook[0], name, Path(origin.target.source)))
        yield f"{origin.target.source}/{module}.py:{name}"
