"""The image of a BentoML project, in our words."""

from __future__ import annotations

import shlex
from typing import Any

from ....errors import ConfigError
from ....runtime.service.image_options import ImageOptions, changed
from .notes import Notes


class Image:
    """
    Args:
        notes: gets what was carried over and what was not.
    """

    def __init__(self, notes: Notes) -> None:
        self.options = ImageOptions()
        self._notes = notes

    def set(self, where: str, **changes: Any) -> None:
        """Options of the image, as far as ours allow them."""
        for name, value in changes.items():
            try:
                self.options = changed(self.options, **{name: value})
            except ConfigError as error:  # noqa: PERF203 - each has a reason
                self._notes.leave(where, str(error).removeprefix("image: "))
            else:
                self._notes.took(where, f"image: {name}: {value}")

    def distro(self, name: str, where: str) -> None:
        if name in {"debian", ""}:
            self._notes.took(where, "debian is what images have anyway")
        elif name == "alpine":
            self.set(where, base="python:3.12-alpine")
        else:
            self._notes.leave(where, f"distro {name}: name an image that has it, image: {{base: …}}")

    def set_variables(self, value: Any, where: str) -> None:
        """Environment variables, as a mapping, as a list of `name`/`value`, or the name of a file."""
        if isinstance(value, str):
            self._notes.leave(
                where, f"variables of the file {value}: write them into image: {{env: …}}, but no secrets"
            )
            return
        pairs: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            pairs = [(str(name), each) for name, each in value.items()]
        for each in value if isinstance(value, list) else []:
            if isinstance(each, dict):
                pairs.append((str(each.get("name", "")), each.get("value")))
            else:
                name, equals, text = str(each).partition("=")
                pairs.append((name, text if equals else None))
        for name, text in pairs:
            if text in {None, ""}:
                self._notes.leave(
                    where, f"variable {name} has no value here: docker run -e {shlex.quote(name)}=…"
                )
            else:
                self.set(where, env={**self.options.env, name: str(text)})
