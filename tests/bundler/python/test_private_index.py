"""A private index over HTTP that wants a user and a password, by each way that uv can be given them."""

from __future__ import annotations

import base64
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from projects import echo_project
from simple_index import SimpleIndex, simple_index, wheel

import tiffin
from tiffin.bundler.check.environment import clean_environment
from tiffin.bundler.image.context import context
from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.lockfile import read_lock
from tiffin.errors import BuildError

USER, PASSWORD = "build-robot", "s3cr3t-w0rd"
ON_THE_WIRE = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
KEYRING = f"""#!{sys.executable}
import sys
# uv asks `keyring get SERVICE USER`; the service is the address of the index, then its host.
_, verb, service, user = sys.argv
if verb != "get" or "127.0.0.1" not in service or user != "{USER}":
    sys.exit(1)
print("{PASSWORD}")
"""

Way = Callable[[Path, pytest.MonkeyPatch], None]


def by_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_CORP_USERNAME", USER)
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", PASSWORD)


def by_netrc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(folder / "netrc"))


def by_keyring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin/keyring"
    program.parent.mkdir()
    program.write_text(KEYRING)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    monkeypatch.setenv("UV_INDEX_CORP_USERNAME", USER)


@pytest.fixture
def corp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleIndex]:
    """An index of a company, beside a public one that has a newer package of the same name."""
    monkeypatch.setattr(requirements_module, "requires", lambda _: ["alpha"])
    for name, folder in (("TIFFIN_HOME", "home"), ("UV_CACHE_DIR", "uv"), ("NETRC", "none")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    public = dict([wheel("alpha"), wheel("secret-lib", "99.0", secret_lib="THEIRS = True")])
    private = dict([wheel("secret-lib", "1.2", requires=("alpha",))])
    with simple_index(public) as pypi, simple_index(private, user=USER, password=PASSWORD) as corp:
        monkeypatch.setenv("UV_DEFAULT_INDEX", pypi.url)
        yield corp


def project_of(folder: Path, corp: SimpleIndex) -> Path:
    bundlefile = f"python: {{indexes: [{{name: corp, url: '{corp.url}'}}]}}\n"
    return echo_project(folder, **{"bundlefile.yaml": bundlefile, "requirements.txt": "secret-lib\n"})


@pytest.mark.parametrize("way", [by_variables, by_netrc, by_keyring])
def test_the_password_is_given_and_kept_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    corp: SimpleIndex,
    way: Way,
) -> None:
    caplog.set_level(logging.DEBUG)
    way(tmp_path, monkeypatch)
    made = tiffin.build(project_of(tmp_path / "project", corp), provenance=False)
    lock = read_lock((made.path / "env/python/requirements.lock").read_text())
    assert {each.name: each.version for each in lock} == {"alpha": "1.0", "secret-lib": "1.2"}
    with clean_environment(made.path, made.info.python) as environment:
        assert list(environment.python.parent.parent.glob("lib/*/site-packages/secret_lib-1.2.dist-info"))
    everything = b"".join(context(made)) + caplog.text.encode()
    everything += b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert corp.url.encode() in everything
    for secret in (USER, PASSWORD, ON_THE_WIRE):
        assert secret.encode() not in everything


@pytest.mark.parametrize("password", ["", "wr0ng-w0rd"])
def test_who_has_no_password_is_told_how_to_give_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    corp: SimpleIndex,
    password: str,
) -> None:
    """And nothing is taken from the public index in its place."""
    caplog.set_level(logging.DEBUG)
    if password:
        monkeypatch.setenv("UV_INDEX_CORP_USERNAME", USER)
        monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", password)
    words = r"^the index corp \(http://127.* answers 401: .*UV_INDEX_CORP_PASSWORD"
    with pytest.raises(BuildError, match=words) as caught:
        tiffin.build(project_of(tmp_path / "project", corp), provenance=False)
    assert "wr0ng-w0rd" not in f"{caught.value}{caplog.text}"
    assert not list((tmp_path / "home/bundles").glob("*/*"))
