"""docs/18-grpc.md: what it says a service becomes is what it becomes."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from tiffin.runtime.grpc.typed.proto import TypedProto
from tiffin.runtime.service.service import service_info

PAGE = Path(__file__).parents[4] / "docs" / "18-grpc.md"
BEFORE = """
from __future__ import annotations
import dataclasses
import enum
from collections.abc import AsyncIterator
import numpy as np
from jaxtyping import Float32
import tiffin

class Colour(enum.Enum):
    RED = "red"

"""


def section() -> str:
    return PAGE.read_text(encoding="utf-8").partition("\n## Typed\n")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", section(), re.DOTALL)


def lines(text: str) -> list[str]:
    """Without comments at the end of a line, which the page has for shortness."""
    return [
        " ".join(re.sub(r"(?<=;)\s*//.*", "", line).split()) for line in text.splitlines() if line.strip()
    ]


def test_the_page_shows_what_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("typed_page")
    monkeypatch.setitem(sys.modules, "typed_page", module)
    (code,) = blocks("python")
    exec(compile(BEFORE + code, str(PAGE), "exec"), module.__dict__)
    made = lines(TypedProto(service_info(module.Shop)).text)
    service, tensor = blocks("proto")
    shown = lines(service)
    assert len(shown) > 20
    assert set(shown) <= set(made)
    fields = [line for line in lines(tensor) if line.endswith(";")]
    assert len(fields) == 7
    assert set(fields) <= set(made)
