"""A process that forks children which save models until they are killed.

One line on stdin starts a child; it answers with the child's pid, and with `gone` once the child has ended.
Forking from here is cheap: everything is imported, and no framework is.
"""

from __future__ import annotations

import os
import sys
import zlib

from tiffin.bundler import models

SIZE_BYTES = 1_000_000  # large enough that writing it, not thinking about it, is what gets killed


class Blob:
    """A model that takes a few writes."""

    def __init__(self) -> None:
        self.payload = os.urandom(SIZE_BYTES)
        self.check = zlib.crc32(self.payload)

    def predict(self, rows: list[int]) -> list[int]:
        return rows


def save_and_delete() -> None:
    """Two versions more, and the oldest ones gone, for ever."""
    blob = Blob()
    while True:
        for name in ("left", "right"):
            models.save(name, blob)
            while len(versions := models.list(name)) > 3:
                models.delete(versions[0].tag)


def main() -> None:
    models.provenance = dict  # asking git takes longer than saving
    models.save("first", Blob())  # what is imported on use is imported now, not in every child
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            save_and_delete()
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
