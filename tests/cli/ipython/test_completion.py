"""Tab after `%bundle`, through IPython's own completer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import twice
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import tiffin


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    tiffin.load_ipython_extension(shell)
    yield shell
    tiffin.unload_ipython_extension(shell)


def complete(shell: InteractiveShell, line: str) -> list[str]:
    """What the line may become, as a kernel asks."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(line, len(line)))
    return [line[: each.start] + each.text + line[each.end :] for each in found]


def test_commands_and_options(shell: InteractiveShell) -> None:
    assert {"%bundle show", "%bundle serve", "%bundle servers", "%bundle stop"} <= {
        *complete(shell, "%bundle s")
    }
    assert complete(shell, "%bundle models sh") == ["%bundle models show"]
    assert complete(shell, "%bundle build --no-l") == ["%bundle build --no-lock"]
    assert complete(shell, "server = %bundle serve --no-g") == ["server = %bundle serve --no-grpc"]


def test_the_cell_magic(shell: InteractiveShell) -> None:
    assert complete(shell, "%%bundle s") == ["%%bundle service"]
    assert complete(shell, "%%bundle service --n") == ["%%bundle service --name"]


def test_tags_across_the_colon(shell: InteractiveShell, tmp_path: Path) -> None:
    twice.write(tmp_path)
    tag = str(tiffin.build("service.py", lock=False).tag)
    assert complete(shell, "%bundle show tw") == [f"%bundle show {tag}"]
    assert complete(shell, f"%bundle show {tag[:9]}") == [f"%bundle show {tag}"]
    assert complete(shell, f"%bundle serve {tag[:6]}") == [f"%bundle serve {tag}"]


def test_classes_and_files_are_targets(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "Irises").mkdir()
    (tmp_path / "Irises" / "service.py").touch()

    @tiffin.service
    class Iris:
        @tiffin.api
        async def name(self, x: int) -> int:
            return x

    shell.user_ns["Iris"] = Iris
    assert complete(shell, "%bundle build Ir") == ["%bundle build Iris", "%bundle build Irises/"]
    assert complete(shell, "%bundle serve Irises/s") == ["%bundle serve Irises/service.py"]


def test_nothing_is_left_after_unloading(shell: InteractiveShell) -> None:
    tiffin.unload_ipython_extension(shell)
    assert "%bundle models show" not in complete(shell, "%bundle models sh")
    assert shell.find_line_magic("bundle") is None
    tiffin.load_ipython_extension(shell)
