"""Small projects to build bundles of."""

from __future__ import annotations

from pathlib import Path

import tiffin

SERVICE = '''
import tiffin


@tiffin.service
class Echo:
    """Says what it hears."""

    @tiffin.api
    def say(self, text: str, times: int = 1) -> str:
        """Repeats a text."""
        return text * times
'''

MODEL_SERVICE = '''
import tiffin


@tiffin.service
class Adder:
    """Adds two."""

    adder = tiffin.runner("adder:latest")

    @tiffin.api
    async def add(self, number: int) -> int:
        return await self.adder.predict(number)
'''


class AddTwo:
    def predict(self, number: int) -> int:
        return number + 2


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def echo_project(folder: Path, **files: str | bytes) -> Path:
    """`service.py` with one route and no model."""
    return write(folder, {"service.py": SERVICE, **files})


def adder_project(folder: Path) -> Path:
    """A service with a pickled model, which is saved to the store of this process."""
    tiffin.models.save("adder", AddTwo(), methods=["predict"], example=1)
    return write(folder, {"service.py": MODEL_SERVICE})
