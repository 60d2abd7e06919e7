"""Writing projects: all files or none, and what they say of themselves."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest
import yaml

from tiffin.bundler.start.project import init_project
from tiffin.bundler.start.templates import TEMPLATES
from tiffin.errors import AlreadyExistsError, BuildError, UsageError
from tiffin.runtime.service.bundlefile import find_bundlefile
from tiffin.runtime.service.load import resolve_target


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_a_project(name: str, tmp_path: Path) -> None:
    made = init_project(tmp_path / "My flowers", name)
    folder = tmp_path / "My flowers"
    assert sorted(made.files) == sorted(path.name for path in folder.iterdir())
    assert {"train.py", "service.py", "test_service.py", "README.md", ".gitignore", ".bundleignore"} <= set(
        made.files
    )
    assert resolve_target(str(folder)).service == "service:MyFlowers"
    wishes = find_bundlefile(folder)
    assert wishes is not None
    assert (wishes.name, wishes.labels) == ("my-flowers", {"template": name})
    for path in folder.glob("*.py"):
        ast.parse(path.read_text())
        assert path.read_text().endswith("\n")
    readme = (folder / "README.md").read_text()
    template = TEMPLATES[name]
    json.loads(template.body)
    assert f"curl -d '{template.body}'" in readme
    assert f"localhost:3000/{template.route}" in readme
    assert f"async def {template.route}(" in (folder / "service.py").read_text()
    assert "{{" not in readme + (folder / "bundlefile.yaml").read_text()
    assert yaml.safe_load((folder / "bundlefile.yaml").read_text())["description"] == template.about
    assert set((folder / "requirements.txt").read_text().split()) == set(template.packages)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    with pytest.raises(AlreadyExistsError, match=r"train\.py already, and nothing is overwritten"):
        init_project(tmp_path, "sklearn")
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    with pytest.raises(UsageError, match="is a file"):
        init_project(tmp_path / "train.py", "sklearn")


def test_a_folder_with_other_files_is_filled(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2")
    init_project(tmp_path, "custom")
    assert (tmp_path / "service.py").is_file()


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def full(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == "README.md":
            raise OSError(28, os.strerror(28), str(self))
        return real(self, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BuildError, match=r"cannot write .*: No space left on device; nothing was left"):
        init_project(tmp_path / "a" / "b", "custom")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_template(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'sklearn'"):
        init_project(tmp_path, "sklern")
