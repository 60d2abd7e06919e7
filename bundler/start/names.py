"""The names of a new project, all from that of its folder."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from ...runtime.tag import unaccented

_MOST = 40
TAKEN = frozenset({"Network", "Detector", "Answer", "Diagnosis", "Mood", "Path", "Float32", "Float64"})
"""Classes that the templates define or import."""


@dataclass(frozen=True)
class Names:
    name: str
    """Of bundle and model: `iris-flowers`."""
    cls: str
    """Of the service's class: `IrisFlowers`."""
    title: str
    """`Iris flowers`"""


def names_of(folder: str) -> Names:
    """`Iris_Flowers 2` → `iris-flowers-2`, `IrisFlowers2`, `Iris flowers 2`; without letters: `project`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", unaccented(folder))
    words = re.findall(r"[a-z0-9]+", spaced.casefold())
    if not any(word[0].isalpha() for word in words):
        words = ["project", *words]
    while words[0][0].isdigit():
        words = [*words[1:], words[0]]
    name = "-".join(words)[:_MOST].strip("-")
    cls = "".join(word.capitalize() for word in name.split("-"))
    if cls in TAKEN or keyword.iskeyword(cls):
        cls += "Service"
    return Names(name, cls, " ".join(name.split("-")).capitalize())
