"""A bundle ships the `.proto` of its service."""

from __future__ import annotations

from pathlib import Path

import msgspec
import protoc
import pytest
from projects import write

from tiffin.bundler.build import build
from tiffin.cli.main import root

SERVICE = '''
import msgspec
import tiffin


@tiffin.service
class Echo:
    """Says what it hears."""

    @tiffin.api
    def say(self, text: str, times: int = 1) -> str:
        return text * times

    @tiffin.api
    def upload(self, x: msgspec.Raw) -> None: ...
'''
REASON = "parameter 'x': msgspec.Raw has no type in a message; use bytes for what is opaque, Any for any JSON"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))


def test_the_text_compiles_and_names_every_api_that_it_can(tmp_path: Path) -> None:
    made = build(write(tmp_path / "project", {"service.py": SERVICE}), lock=False)
    text = (made.path / "apis/service.proto").read_text()
    (service,) = protoc.descriptor(text, tmp_path).service
    assert service.name == "Echo"
    assert [method.name for method in service.method] == ["Say"]
    assert made.info.options["no_grpc_method"] == {"upload": REASON}


def bundle(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        root.main(list(arguments), prog_name="bundle")
    captured = capsys.readouterr()
    assert end.value.code == 0, captured.err
    return captured.out


def test_build_and_show_tell_what_is_missing_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(write(tmp_path / "project", {"service.py": SERVICE}))
    built = bundle(capsys, "build", folder, "--no-lock")
    for output in (built, bundle(capsys, "show", "echo:latest")):
        assert "1 method; none for upload" in " ".join(output.replace("│", " ").split())
    told = bundle(capsys, "build", folder, "--no-lock", "--json")
    assert msgspec.json.decode(told)["no_grpc_method"] == {"upload": REASON}
