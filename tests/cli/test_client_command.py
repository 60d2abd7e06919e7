"""`bundle client`: from a bundle, a folder and a running server, to stdout, a file and a folder."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority
from click.testing import CliRunner, Result
from server import Server

from tiffin.cli.main import root

SOURCE = '''
import tiffin

@tiffin.service(name="shop")
class Shop:
    """Sells."""

    @tiffin.api
    async def total(self, prices: list[float], discount: float = 0.0) -> float:
        """What it costs."""
        return sum(prices) * (1 - discount)
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "service.py").write_text(SOURCE)
    return folder


def invoke(*words: str) -> Result:
    return CliRunner().invoke(root, ["client", *words])


def test_from_a_folder_to_stdout(project: Path) -> None:
    done = invoke(str(project), "--lang", "python")
    assert done.exit_code == 0, done.output
    ast.parse(done.stdout)
    assert "class ShopClient:" in done.stdout
    assert "def total(" in done.stdout
    assert list(project.iterdir()) == [project / "service.py"]


def test_from_a_bundle_to_a_file(project: Path, tmp_path: Path) -> None:
    import tiffin

    bundle = tiffin.build(project, lock=False)
    path = tmp_path / "out.ts"
    done = invoke(str(bundle.tag), "-o", str(path), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == {"service": "shop", "language": "typescript", "path": str(path), "apis": ["/total"]}
    assert f"from version {bundle.tag.version}" in path.read_text()
    assert "export class ShopClient" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o644


def test_into_a_folder(project: Path, tmp_path: Path) -> None:
    for language, name in (("python", "shop_client.py"), ("typescript", "shop-client.ts")):
        done = invoke(f"{project}/service.py:Shop", "--lang", language, "-o", str(tmp_path))
        assert done.exit_code == 0, done.output
        assert name in done.stdout
        assert (tmp_path / name).is_file()


def test_from_a_running_server(project: Path) -> None:
    with Server(project) as server:
        done = invoke(server.base_url, "--lang", "python", "--json")
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout)
        assert told["service"] == "shop"
        (project / "shop_client.py").write_text(told["code"])
        use = "import sys, shop_client; print(shop_client.ShopClient(sys.argv[1]).total([2.0]))"
        run = [sys.executable, "-W", "error", "-c", use, server.base_url]
        assert subprocess.run(run, cwd=project, capture_output=True, check=False).stdout == b"2.0\n"


def test_from_a_server_with_certificates_of_its_own(project: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    served = authority.issue("localhost")
    cert, key = authority.issue("caller")
    options = ("--tls-cert", served[0], "--tls-key", served[1], "--tls-client-ca", authority.file)
    with Server(project, *options) as server:
        where = server.base_url
        assert where.startswith("https://")
        told = invoke(where, "--lang", "python")
        assert told.exit_code != 0
        assert "certificate" in told.output + str(told.exception)
        assert invoke(where, "--lang", "python", "--ca", authority.file).exit_code != 0  # it wants ours, too
        shown = ("--ca", authority.file, "--cert", cert, "--key", key)
        for each in (where, f"grpcs://{server.events[-1]['grpc']}"):
            done = invoke(each, "--lang", "python", *shown)
            assert done.exit_code == 0, done.output
            assert "class ShopClient:" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([".", "--lang", "cobol"], "python"),
        (["."], "which language"),
        ([".", "-o", "x.rs"], "which language"),
        (["nothing-there", "--lang", "python"], "nothing-there"),
        (["http://127.0.0.1:1", "--lang", "python"], "cannot connect"),
        (["http://127.0.0.1:1", "--lang", "python", "--ca", __file__], "servers with TLS"),
        ([".", "--lang", "python", "--cert", __file__], "servers with TLS"),
        (["https://127.0.0.1:1", "--lang", "python", "--ca", "nowhere.pem"], "is no file"),
        (["https://127.0.0.1:1", "--lang", "python", "--key", __file__], "needs the cert"),
    ],
)
def test_what_cannot_be(words: list[str], told: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    done = invoke(*words)
    assert done.exit_code != 0
    assert told in done.output + str(done.exception)


def test_a_file_that_cannot_be_written(project: Path) -> None:
    done = invoke(str(project), "--lang", "python", "-o", str(project / "none" / "x.py"))
    assert done.exit_code != 0
    assert "cannot write" in done.output + str(done.exception)
