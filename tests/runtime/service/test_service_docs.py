"""docs/02-service.md: its Python runs, and a user's mypy --strict accepts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tiffin

PAGE = Path(__file__).parents[3] / "docs" / "02-service.md"


def page() -> str:
    """All Python blocks as one module; the other lines are empty, so that line numbers are the page's."""
    lines, code = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        fence = line.startswith("```")
        lines.append(line if code and not fence else "")
        if fence:
            code = line == "```python"
    return "\n".join(lines) + "\n"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_iris
    from sklearn.tree import DecisionTreeClassifier

    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TIFFIN_BUNDLE", raising=False)
    data = load_iris()
    tree = DecisionTreeClassifier(random_state=0).fit(data.data, data.target)
    tiffin.models.save("iris", tree, example=data.data[:2], classes=list(data.target_names))


def test_the_blocks_run(models: None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("service_page")
    monkeypatch.setitem(sys.modules, "service_page", module)
    exec(compile(page(), str(PAGE), "exec"), module.__dict__)
    assert module.Iris.__tiffin__.spec().runners[0].model.startswith("iris:")


def test_the_options_of_the_tables_are_those_of_the_code() -> None:
    from tiffin.runtime.service import bundlefile, runner_options, service

    text = PAGE.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert {*runner_options.NAMES, *service._OPTIONS} <= rows
    for key in bundlefile.BundleFile.__struct_fields__:
        assert f"`{key}" in text


@pytest.mark.slow
def test_mypy_strict_accepts_it_and_finds_mistakes(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "tiffin").symlink_to(Path(tiffin.__file__).parent)
    # What users write, less the lines that are wrong on purpose.
    (tmp_path / "good.py").write_text(page().replace("max_batchsize=8", "max_batch_size=8"))
    (tmp_path / "bad.py").write_text(
        "import tiffin\n"
        "@tiffin.service\n"
        "class A:\n"
        "    @tiffin.api\n"
        "    def double(self, x: int) -> int:\n"
        "        return x * 2\n"
        "reveal_type(A)\n"
        "reveal_type(A().double)\n"
        "A().double('x')\n"
        "tiffin.api(rout='/x')\n"
        "tiffin.service(timeout=3)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "good.py", "bad.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "MYPYPATH": str(tmp_path / "src"),
            "MYPY_CACHE_DIR": str(PAGE.parents[1] / ".mypy_cache" / "docs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ran.stdout.replace("builtins.", "").splitlines()  # not every version writes the module
    said = [line for line in lines if line.startswith(("good.py", "bad.py"))]
    assert [line for line in said if line.startswith("good.py")] == []
    assert 'bad.py:7: note: Revealed type is "def () -> bad.A"' in said
    assert 'bad.py:8: note: Revealed type is "def (x: int) -> int"' in said
    errors = {line.split(":")[1] for line in said if ": error:" in line}
    assert errors == {"9", "10", "11"}
