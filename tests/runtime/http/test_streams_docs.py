"""docs/21-streams.md: its Python runs, and what it says of limits holds."""

from __future__ import annotations

import asyncio
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tiffin.runtime.http.item_feed import ITEMS
from tiffin.runtime.http.websocket import CALLS, OUTGOING
from tiffin.runtime.service.service import service_info

PAGE = Path(__file__).parents[3] / "docs" / "21-streams.md"


def test_the_blocks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text(encoding="utf-8")
    code = "\n".join(block.partition("```")[0] for block in text.split("```python\n")[1:])
    module: Any = types.ModuleType("streams_page")
    monkeypatch.setitem(sys.modules, "streams_page", module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    assert service_info(module.Meter).apis["running"].inputs.stream is not None
    ui = module.Shop.ui.build(module.Shop())
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(ui({"type": "http"}, None, send))
    assert sent[1]["body"] == b"42"


def test_its_numbers() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"more than {ITEMS} items ahead" in text
    assert f"At most {CALLS} calls of one connection\nrun or wait, and {OUTGOING} answers wait" in text
