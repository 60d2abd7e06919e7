"""An image that a test built, and how it came about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from layers import Saved

from tiffin.bundler.bundles import Bundle
from tiffin.bundler.containerize import Image
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.steps import CACHED


class Built(NamedTuple):
    """An image, and how it came about."""

    engine: str
    image: Image
    steps: list[str]
    """What its build told, in order."""

    @property
    def name(self) -> str:
        return self.image.tags[0]

    @property
    def program(self) -> str:
        """What runs it."""
        return "podman" if self.engine == "buildah" else self.engine

    @property
    def ran(self) -> list[str]:
        """The `RUN` steps that were not taken from the cache."""
        cached = {step.removesuffix(CACHED) for step in self.steps if step.endswith(CACHED)}
        return [
            step
            for step in dict.fromkeys(self.steps)
            if step.startswith("RUN ") and step not in cached and not step.endswith(CACHED)
        ]

    @contextmanager
    def saved(self, folder: Path) -> Iterator[Saved]:
        """What it consists of; its archive is removed at the end."""
        path = folder / "saved.tar"
        choose(self.engine).engine.save(self.image.id, path, lambda text, done, total: None)
        saved = Saved(path)
        try:
            yield saved
        finally:
            saved.close()
            path.unlink()


class Make(Protocol):
    """The fixture `make`: builds an image of a bundle."""

    def __call__(self, engine: str, bundle: Bundle, **options: object) -> Built: ...
