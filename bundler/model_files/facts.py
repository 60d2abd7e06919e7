"""What is written into a model's provenance about the file that it came from."""

from __future__ import annotations

from pathlib import Path

from ...runtime.digest import hash_stream


def file_facts(path: Path, *, pickled: bool) -> dict[str, str]:
    """Its name; of a pickle the sha256 too, as the store holds another form of it.

    Args:
        path: a file or folder.
        pickled: whether it was loaded and written anew, rather than copied.
    """
    facts = {"name": path.resolve().name}
    if pickled and path.is_file():
        with path.open("rb", buffering=0) as file:
            facts["sha256"] = hash_stream(file)[0]
    return facts
