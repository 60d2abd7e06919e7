"""uv itself, on an index of this test: private ones, what is kept of a lock, and no network at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import echo_project
from simple_index import SimpleIndex, simple_index, wheel

from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.dependencies import Code, Dependencies, dependencies
from tiffin.bundler.python.indexes import config_text, credential_names, machine_indexes, named_indexes
from tiffin.bundler.python.lockfile import read_lock
from tiffin.bundler.python.needs import Index
from tiffin.bundler.python.uv import find_uv
from tiffin.errors import BuildError, ConfigError
from tiffin.runtime.manifest import ModelInfo, ServiceSpec
from tiffin.runtime.service.bundlefile import IndexOptions, PythonOptions

FILES = dict([
    wheel("alpha", "1.0"), wheel("alpha", "2.0"), wheel("beta", "1.0", requires=("alpha>=1",)),
    wheel("beta", "2.0", requires=("alpha>=2",)),
])  # fmt: skip
PRIVATE = dict([wheel("secret-lib", "1.2", requires=("alpha",))])
DEAD = "http://127.0.0.1:9/simple"
"""The port of discard: nobody answers."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleIndex]:
    """In place of PyPI."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setattr(requirements_module, "requires", lambda _: ["alpha>=1"])
    with simple_index(FILES) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        yield index


def locked(
    folder: Path, models: tuple[ModelInfo, ...] = (), lock: bool | None = True, **options: object
) -> Dependencies:
    wishes = PythonOptions(**options)  # type: ignore[arg-type]
    service = ServiceSpec(name="s", cls="s:S")
    return dependencies(folder, wishes, Code(folder, ["service"]), models=models, service=service, lock=lock)


def versions(found: Dependencies) -> dict[str, str]:
    assert found.lock is not None
    return {package.name: package.version for package in read_lock(found.lock.text)}


def test_nothing_is_asked_of_the_network_when_nothing_changed(
    tmp_path: Path, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("beta\n")
    first = locked(tmp_path)
    assert versions(first) == {"alpha": "2.0", "beta": "2.0"}
    asked = len(index.asked)
    assert asked
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("uv was started"))
    assert locked(tmp_path) == first
    assert len(index.asked) == asked
    (tmp_path / "requirements.txt").write_text("beta<2\n")
    with pytest.raises(pytest.fail.Exception, match="uv was started"):
        locked(tmp_path)


@pytest.mark.usefixtures("index")
def test_a_dead_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept lock is as good as ever; a new one cannot be made, and says so."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (tmp_path / "requirements.txt").write_text("beta<2\n")
    real = locked(tmp_path)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert locked(tmp_path) == real
    monkeypatch.setenv("UV_DEFAULT_INDEX", DEAD)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(BuildError, match="could not be locked: uv: "):
        locked(tmp_path)


@pytest.mark.usefixtures("index")
def test_versions_and_hashes_of_a_lock_are_kept(tmp_path: Path) -> None:
    """The index has newer ones, and other hashes."""
    (tmp_path / "requirements.txt").write_text(f"beta==1.0 --hash=sha256:{'b' * 64}\nalpha==1.0\n")
    found = locked(tmp_path)
    assert versions(found) == {"alpha": "1.0", "beta": "1.0"}
    assert found.lock is not None
    beta = next(package for package in read_lock(found.lock.text) if package.name == "beta")
    assert beta.hashes == ("b" * 64,)


@pytest.mark.usefixtures("index")
def test_the_two_culprits_come_first(tmp_path: Path) -> None:
    model = ModelInfo(
        name="iris", version="6f3", framework="x", created="", files=[], digest="", size_bytes=0,
        versions={"alpha": "1.0"},
    )  # fmt: skip
    (tmp_path / "requirements.txt").write_text("# ours\n\nalpha>=2\n")
    with pytest.raises(BuildError) as caught:
        locked(tmp_path, (model,))
    first, mend, says, *words = str(caught.value).splitlines()
    assert first.startswith(
        "alpha==1.0 from model iris:6f3 and alpha>=2 from requirements.txt line 3 exclude each"
    )
    assert "--no-lock" in mend
    assert says == "uv says:"
    assert any("alpha==1.0 and alpha>=2" in line for line in words)
    (tmp_path / "requirements.txt").write_text("beta==2.0\n")
    for lock in (True, None):
        with pytest.raises(
            BuildError, match=r"^(alpha==1.0 from model|beta==2.0 from req).*exclude each other"
        ):
            locked(tmp_path, (model,), lock)
    assert locked(tmp_path, (model,), lock=False).lock is None


def test_a_private_index_leaves_its_name_and_no_password(
    tmp_path: Path, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("secret-lib\n")
    with simple_index(PRIVATE, user="me", password="s3cret") as corp:
        options = {"indexes": [IndexOptions(name="corp", url=corp.url)]}
        with pytest.raises(
            BuildError, match=r"^the index corp \(http://.*\) answers 401: .*UV_INDEX_CORP_PASSWORD"
        ):
            locked(tmp_path, lock=None, **options)
        monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "me")
        monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", "s3cret")
        found = locked(tmp_path, **options)
        assert versions(found) == {"alpha": "2.0", "secret-lib": "1.2"}
        assert found.texts["env/python/uv.toml"] == f'[[index]]\nname = "corp"\nurl = "{corp.url}"\n'
        assert "s3cret" not in "".join(found.texts.values())
        assert f"--extra-index-url {corp.url}\n" in found.texts["env/python/requirements.lock"]
        known = tmp_path / "known"
        known.mkdir()
        (known / "requirements.txt").write_text("secret-lib\n")
        monkeypatch.setenv("UV_INDEX", f"corp=http://me:s3cret@{corp.url.removeprefix('http://')}")
        again = locked(known, indexes=["corp"])
        assert again.texts["env/python/uv.toml"] == found.texts["env/python/uv.toml"]
        assert "s3cret" not in "".join(again.texts.values())
        _install(tmp_path / "env", found)


def _install(folder: Path, found: Dependencies) -> None:
    """As the image does: the lock and uv.toml in one folder."""
    uv = find_uv()
    assert uv is not None
    folder.mkdir()
    for path, text in found.texts.items():
        (folder / Path(path).name).write_text(text)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, "v"], cwd=folder, check=True)
    command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--index-strategy", "unsafe-best-match"]
    command += ["--python", "v/bin/python", "--config-file", "uv.toml", "requirements.lock"]

    environment = {
        name: value for name, value in os.environ.items() if name not in {"UV_NO_CONFIG", "UV_INDEX"}
    }
    subprocess.run(command, cwd=folder, check=True, env=environment)
    assert (folder / "v/bin/python").exists()
    assert list(folder.glob("v/lib/*/site-packages/secret_lib.py"))


def test_an_explicit_index_has_only_what_names_it(tmp_path: Path, index: SimpleIndex) -> None:
    with simple_index(dict([wheel("alpha", "7.0"), wheel("beta", "9.0")])) as other:
        text = f"""
[project]
name = "p"
dependencies = ["alpha", "beta"]
[tool.uv.sources]
alpha = {{ index = "own" }}
[[tool.uv.index]]
name = "own"
url = "{other.url}"
explicit = true
"""
        (tmp_path / "pyproject.toml").write_text(text)
        assert versions(locked(tmp_path)) == {"alpha": "7.0", "beta": "2.0"}


def test_names_of_indexes(tmp_path: Path) -> None:
    (tmp_path / "uv").mkdir()
    text = '[[index]]\nname = "corp"\nurl = "https://u:p@corp.example/simple"\n[[index]]\nurl = "https://nameless"\n'
    (tmp_path / "uv/uv.toml").write_text(text)
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path),
        "UV_INDEX": "lab=https://lab.example/s https://none",
        "UV_DEFAULT_INDEX": "main=https://m/s",
    }
    known = machine_indexes(environment)
    assert list(known.values()) == [
        Index("lab", "https://lab.example/s"), Index("main", "https://m/s", default=True),
        Index("corp", "https://corp.example/simple"),
    ]  # fmt: skip
    assert named_indexes(["corp"], known) == [known["corp"]]
    assert credential_names(config_text(known.values())) == [  # type: ignore[arg-type]
        f"UV_INDEX_{name}_{part}" for name in ("LAB", "MAIN", "CORP") for part in ("USERNAME", "PASSWORD")
    ]
    with pytest.raises(ConfigError, match=r"'crop' is not known here; did you mean 'corp'\?"):
        named_indexes(["crop"], known)
    for url, error in (
        ("https://u:p@x/s", "carries a password"),
        ("ftp://x", "no address"),
        ("https://a b", "no address"),
    ):
        with pytest.raises((BuildError, ConfigError), match=error):
            named_indexes([IndexOptions(name="x", url=url)], {})
    with pytest.raises(ConfigError, match="give it a name"):
        named_indexes([IndexOptions(name="a b", url="https://x")], {})


def test_a_build_tells_where_its_requirements_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tiffin
    from tiffin.bundler.words import requirements_words

    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    project = echo_project(tmp_path / "project", **{"environment.yml": "dependencies: [libgcc]\n"})
    made = tiffin.build(project, lock=False, python="3.12")
    assert made.info.python == "3.12"
    assert requirements_words(made.info) == "not locked: not asked for; from environment.yml"
    stays, checked = made.info.options["notes"]
    assert "stays out: libgcc" in stays
    assert "is locked for 3.12" in checked
