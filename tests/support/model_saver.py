"""A process that forks children which save models until they are killed.

One line on stdin starts a child; it answers with the child's pid, and with `gone` once the child has ended.
Forking from here is cheap: everything is imported, and no framework is.
"""

from __future__ import annotations

import os
import sys

import tiffin
from tiffin.bundler import models


class Blob:
    """A model of some size that takes a few writes."""

    def __init__(self, size_bytes: int) -> None:
        self.payload = os.urandom(size_bytes)
        self.check = sum(self.payload)

    def predict(self, rows: list[int]) -> list[int]:
        return rows


def save_and_delete() -> None:
    """Two versions more, one less, for ever."""
    while True:
        for name in ("left", "right"):
            models.save(name, Blob(200_000), version=None)
        for name in ("left", "right"):
            versions = models.list(name)
            if len(versions) > 4:
                models.delete(versions[0].tag)


def main() -> None:
    assert tiffin.__version__
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            save_and_delete()
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
