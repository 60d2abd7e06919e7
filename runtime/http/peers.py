"""The API processes of one server tell each other what they know, when somebody asks one of them.

Each listens on a Unix socket in the server's private folder, `<run folder>/a<generation>-<index>.sock`; who
connects says at most one word and the end of its words, and gets one JSON document and the end of the file.
Between questions nothing happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger("tiffin.http")

_WORD_BYTES = 64
PATIENCE_S = 5.0
"""A process that does not answer within this time hangs; on a busy machine a live one may take a second."""


class Peers:
    """This process's place among the API processes of the server.

    Args:
        run_folder: the private folder of the server.
        generation: 1 for the first load of the service, one more for each reload.
        process: `api-0`
        tell: what this process has to say, as JSON.
    """

    def __init__(self, run_folder: Path, generation: int, process: str, tell: Callable[[], bytes]) -> None:
        # Short, since the path of a socket is; the same after a restart, so that a dead one is replaced.
        self._folder = run_folder
        self._path = run_folder / f"a{generation}-{process.removeprefix('api-')}.sock"
        self._tell = tell
        self._server: asyncio.AbstractServer | None = None
        self.on_word: dict[str, Callable[[], None]] = {}
        """What to do at which word, before the answer."""

    async def open(self) -> None:
        """From now on the others can ask; without room on the disk they cannot, and requests are served."""
        try:
            self._server = await asyncio.start_unix_server(self._asked, self._path)
            self._path.chmod(0o600)
        except OSError as error:
            logger.warning("the other API processes cannot ask this one about its batches: %s", error)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def ask(self, word: str = "") -> tuple[list[bytes], list[str]]:
        """What the others say, and the names of those that said nothing in time.

        Args:
            word: of `on_word`, which they heed first; those that are silent will when they listen again.
        """
        paths = [path for path in sorted(self._folder.glob("a*-*.sock")) if path != self._path]
        answers = await asyncio.gather(*(_ask(path, word) for path in paths))
        told = [answer for answer in answers if answer]
        silent = [
            f"api-{path.stem.partition('-')[2]}"
            for path, answer in zip(paths, answers, strict=True)
            if answer is None
        ]
        return told, silent

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            word = (await asyncio.wait_for(reader.read(_WORD_BYTES), PATIENCE_S)).decode("latin-1")
            if word in self.on_word:
                self.on_word[word]()
            writer.write(self._tell())
        except (asyncio.TimeoutError, OSError):
            pass  # whoever asked is gone, or never said that this was all
        finally:
            writer.close()


async def _ask(path: Path, word: str) -> bytes | None:
    """Empty: nobody is there any more. None: somebody is, and says nothing."""
    try:
        return await asyncio.wait_for(_read(path, word), PATIENCE_S)
    except asyncio.TimeoutError:
        return None
    except OSError:
        return b""


async def _read(path: Path, word: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(word.encode("latin-1"))
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
