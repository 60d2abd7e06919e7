"""What tests of frameworks share: `make test-frameworks` runs them, `make test` skips them unread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WHY = "heavy libraries were not asked for: make test-frameworks"

# Nothing is downloaded, and no library looks for a newer file of a model.
os.environ.update(HF_HUB_OFFLINE="1", TF_CPP_MIN_LOG_LEVEL="3", TOKENIZERS_PARALLELISM="false")


class Unasked(pytest.Module):
    """A file that is not even imported."""

    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip(WHY, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    asked = [Path(argument.partition("::")[0]).resolve() for argument in parent.config.args]
    if any(path == HERE or HERE in path.parents for path in asked):
        return None
    return Unasked.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))
            # Of the libraries' own, which change with each of their versions; those of tiffin stay errors.
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.filterwarnings("error:::tiffin"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TIFFIN_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder
