"""Packages that no public index has: a wheel of the bundle, and an index that wants a password."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from boxes import Box
from built_image import Make
from projects import write
from simple_index import simple_index, wheel

import tiffin
from tiffin.bundler.engines.engine import Secret

SERVICE = """
import far_lib
import near_lib
import tiffin

@tiffin.service
class Private:
    @tiffin.api
    def where(self) -> list[str]:
        return [near_lib.WHERE, far_lib.WHERE]
"""


def test_what_no_public_index_has(
    home: Path, engine: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, data = wheel("near-lib", near_lib="WHERE = 'the bundle'")
    private = dict([wheel("far-lib", far_lib="WHERE = 'the index'")])
    for module in ("near_lib", "far_lib"):  # the service is imported here, too
        write(tmp_path / "here", {f"{module}.py": "WHERE = 'here'"})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "here"))
    monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", "s3cret")
    project = tmp_path / "project"
    with simple_index(private, user="me", password="s3cret") as index:
        bundlefile = f"exclude: ['*.whl']\npython: {{indexes: [{{name: corp, url: '{index.url}'}}]}}\n"
        requirements = f"./{name}\nfar-lib\n"
        write(
            project, {"service.py": SERVICE, "bundlefile.yaml": bundlefile, "requirements.txt": requirements}
        )
        (project / name).write_bytes(data)
        bundle = tiffin.build(project, lock=True)
        variables = ("UV_INDEX_CORP_USERNAME", "UV_INDEX_CORP_PASSWORD")
        secrets = [Secret(id=each, source=f"env={each}") for each in variables]
        built = make(engine, bundle, secrets=secrets)
    for path in bundle.path.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()
    with Box(built.program, built.name, options=["--read-only", "--tmpfs", "/tmp"]) as box:
        box.wait_until_ready()
        assert httpx.post(f"{box.url}/where", json={}).json() == ["the bundle", "the index"]
