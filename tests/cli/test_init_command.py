"""`bundle init`: what it says and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bentos import OLD_BENTOFILE, OLD_SERVICE
from projects import write

from tiffin.bundler.start.templates import TEMPLATES
from tiffin.cli.commands import init
from tiffin.cli.main import root


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        root.main(["init", *arguments], prog_name="bundle")
    said = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, said.out, said.err


def test_the_help_names_every_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuple(TEMPLATES) == init._TEMPLATES
    assert ", ".join(TEMPLATES) in " ".join(run(capsys, "--help")[1].split())


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--list")
    assert code == 0
    assert all(each.about in out for each in TEMPLATES.values())
    assert [each["name"] for each in json.loads(run(capsys, "--list", "--json")[1])] == list(TEMPLATES)


def test_a_project(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    code, out, _ = run(capsys, "flowers", "-t", "custom")
    assert code == 0
    assert "cd flowers\n" in out
    assert "bundle serve flowers:latest" in out
    assert (folder / "flowers" / "service.py").is_file()
    assert run(capsys, "flowers", "-t", "custom")[0] == 1
    made = json.loads(run(capsys, "more", "--json")[1])
    assert (made["template"], made["names"]["name"]) == ("sklearn", "more")
    assert run(capsys, "other", "--template", "sklern")[0] == 2


def test_here(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    _, out, _ = run(capsys)
    assert "cd " not in out
    assert (folder / "train.py").is_file()


def test_from_bento(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    files = {"bentofile.yaml": OLD_BENTOFILE, "service.py": OLD_SERVICE, "requirements.txt": "numpy\n"}
    write(folder / "old", files)
    code, out, _ = run(capsys, "--from-bento", "old")
    assert code == 0
    assert "service.py:43: @svc.on_startup" in out
    assert (folder / "old" / "tiffin_service.py").is_file()
    assert (folder / "old" / "requirements.txt").read_text() == "numpy\n"
    assert (folder / "old" / "requirements-tiffin.txt").read_text() == "numpy\n"
    made = json.loads(run(capsys, "--from-bento", "old", "fresh", "--json")[1])
    assert made["folder"] == str(folder / "fresh")
    assert {"where", "what"} <= set(made["left"][0])
    assert run(capsys, "--from-bento", "old", "-t", "torch", "x")[0] == 2
