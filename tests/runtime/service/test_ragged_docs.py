"""docs/11-ragged.md: its Python runs, and it names every option."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from tiffin.runtime.service import batch

PAGE = Path(__file__).parents[3] / "docs" / "11-ragged.md"


def test_the_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    module = types.ModuleType("ragged_page")
    monkeypatch.setitem(sys.modules, "ragged_page", module)
    exec(compile("\n".join(blocks), str(PAGE), "exec"), module.__dict__)
    assert len(blocks) == 5


def test_every_option_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for option in {*batch._OPTIONS} - {"max_latency_ms"}:
        assert f"`{option}" in text
