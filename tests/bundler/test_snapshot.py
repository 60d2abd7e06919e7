from __future__ import annotations

import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from projects import write

from tiffin.bundler.archive_writing import write_archive
from tiffin.bundler.snapshot import list_sources
from tiffin.errors import BuildError, ConfigError
from tiffin.runtime.manifest import BUNDLE_FILE, MODEL_FILE


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))


def project(tmp_path: Path, *names: str) -> Path:
    return write(tmp_path / "project", dict.fromkeys(names, "x"))


def listed(folder: Path, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> list[str]:
    return [file.path for file in list_sources(folder, include=[*include], exclude=[*exclude])]


def test_everything_by_default(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py", "data/a b.csv", ".hidden", "deep/er/ü.txt")
    files = list_sources(folder)
    assert [file.path for file in files] == [".hidden", "data/a b.csv", "deep/er/ü.txt", "service.py"]
    assert all(file.source == (folder / file.path).resolve() and file.size_bytes == 1 for file in files)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
@pytest.mark.parametrize("manifest", [BUNDLE_FILE, MODEL_FILE])
def test_no_bundle_takes_in_what_was_exported(tmp_path: Path, ending: str, manifest: str) -> None:
    folder = project(tmp_path, "service.py", manifest, "weights.tar", "weights.tar.gz")
    written = write_archive(folder, manifest, [], folder / f"iris-v1.{ending}")
    there = sorted([manifest, "service.py", "weights.tar", "weights.tar.gz"])
    assert listed(folder) == there
    assert listed(folder, include=["*.py", f"*.{ending}"]) == sorted(
        {written.name, "service.py", *(name for name in there if name.endswith(f".{ending}"))}
    )


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
@pytest.mark.parametrize("manifest", [BUNDLE_FILE, MODEL_FILE])
def test_an_archive_of_the_user_stays(tmp_path: Path, ending: str, manifest: str) -> None:
    """Others have files of these names, too, of today."""
    folder = project(tmp_path, "service.py", "cut.tgz", "weights/net.bin")
    with tarfile.open(folder / f"model.{ending}", "w" if ending == "tar" else "w:gz") as tar:
        tar.add(folder / "service.py", manifest)
        tar.add(folder / "weights/net.bin", "net.bin")
    (folder / "cut.tgz").write_bytes((folder / f"model.{ending}").read_bytes()[:20])
    assert listed(folder) == sorted(["cut.tgz", f"model.{ending}", "service.py", "weights/net.bin"])


def test_a_folder_of_models_that_nobody_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read all, so the refusal is the test's."""
    folder = project(tmp_path, "service.py", "models/net.onnx")
    real = os.stat

    def stat(path: object, *arguments: object, **options: object) -> object:
        if str(path).endswith("models/.lock"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "stat", stat)
    assert listed(folder, exclude=["models/"]) == ["service.py"]


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ([], ["*.csv"], ["data/keep.txt", "data/sub/c.txt", "service.py"]),
        ([], ["data/"], ["service.py"]),
        ([], ["/data/*.csv"], ["data/keep.txt", "data/sub/b.csv", "data/sub/c.txt", "service.py"]),
        ([], ["*.csv", "!a.csv"], ["data/a.csv", "data/keep.txt", "data/sub/c.txt", "service.py"]),
        ([], ["data/**", "!data/keep.txt"], ["data/keep.txt", "service.py"]),
        ([], ["data/", "!data/keep.txt"], ["service.py"]),  # as git: a folder that is out stays closed
        ([], ["# a comment", "", "data"], ["service.py"]),
        ([], ["*.csv", "!data"], ["data/keep.txt", "data/sub/c.txt", "service.py"]),
        ([], ["/*", "!/data", "sub"], ["data/a.csv", "data/keep.txt"]),
        ([], ["**/sub/", "!keep.txt"], ["data/a.csv", "data/keep.txt", "service.py"]),
        ([], ["/*/*", "!/data/*.txt"], ["data/keep.txt", "service.py"]),
        (["*.py"], [], ["service.py"]),
        (["data/"], ["sub"], ["data/a.csv", "data/keep.txt"]),
        (["*.txt", "!keep.txt"], [], ["data/sub/c.txt"]),
        (["/service.py", "data/sub/"], ["*.csv"], ["data/sub/c.txt", "service.py"]),
    ],
)
def test_patterns_are_those_of_gitignore(
    tmp_path: Path, include: list[str], exclude: list[str], left: list[str]
) -> None:
    folder = project(
        tmp_path, "service.py", "data/a.csv", "data/keep.txt", "data/sub/b.csv", "data/sub/c.txt"
    )
    assert listed(folder, include, exclude) == left


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
@pytest.mark.parametrize("seed", range(25))
def test_exclude_is_what_git_ignores(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", "data", "keep", "x.py", "y.txt", "foo bar"]
    patterns = ["a", "/a", "a/", "*.py", "!x.py", "data/**", "!data/keep", "**/b", "a/**/b", "/*", "*",
                "!*/", "!*.txt", "[ab]", "a/b", "!a/", "data/*", "!data/*/", "**/data/**", "foo\\ bar",
                "#c"]  # fmt: skip
    folder = write(tmp_path / "project", {"left.over": "x", "data/keep/x.py": "x"})
    for _ in range(25):
        path = folder.joinpath(*(chance.choice(names) for _ in range(chance.randint(1, 4))))
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            write(folder, {path.relative_to(folder).as_posix(): "x"})
    for _ in range(6):
        exclude = [chance.choice(patterns) for _ in range(chance.randint(1, 5))]
        write(tmp_path, {"exclude": "\n".join([*exclude, ""])})
        listing = ["git", "ls-files", "-z", "--others", f"--exclude-from={tmp_path / 'exclude'}"]
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        seen = subprocess.run(listing, cwd=folder, check=True, capture_output=True, text=True).stdout
        shutil.rmtree(folder / ".git")
        if expected := sorted(filter(None, seen.split("\0"))):
            assert listed(folder, exclude=exclude) == expected, exclude


def test_a_bundleignore_adds_to_exclude_and_gitignore_does_not(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py", "a.bin", "b.bin", "weights.pt")
    write(folder, {".bundleignore": "*.bin\n!b.bin\n", ".gitignore": "*.pt\n"})
    assert listed(folder) == [".bundleignore", ".gitignore", "b.bin", "service.py", "weights.pt"]


def test_what_never_goes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(
        tmp_path,
        "service.py",
        ".git/config",
        "sub/.git",  # a submodule's
        ".hg/x",
        ".svn/x",
        "pkg/__pycache__/a.pyc",
        "pkg/a.py",
        "old.pyc",
        "node_modules/x/index.js",
        ".ipynb_checkpoints/n.ipynb",
        "iris.egg-info/PKG-INFO",
        ".venv/pyvenv.cfg",
        ".venv/lib/x.py",
        "odd name/pyvenv.cfg",
        "odd name/lib/x.py",
        "conda/conda-meta/history",
        "conda/lib/x.py",
        ".DS_Store",
        "iris-6f3k2q.context.tar",
        "store/models/iris/1/model.yaml",
    )
    monkeypatch.setenv("TIFFIN_HOME", str(folder / "store"))
    assert listed(folder, include=["*", "!x"]) == ["pkg/a.py", "service.py"]
    assert listed(folder) == ["pkg/a.py", "service.py"]


def test_an_excluded_folder_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path, "service.py", "big/a", "big/deep/b", "node_modules/c", "kept/d")
    opened: list[str] = []
    scandir = os.scandir

    def watched(path: str) -> os._ScandirIterator[str]:
        opened.append(os.path.relpath(path, folder))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    assert listed(folder, exclude=["big/"]) == ["kept/d", "service.py"]
    assert sorted(opened) == [".", "kept"]


def test_links_inside_are_followed(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py", "data/a.csv", "data/b.csv")
    (folder / "one.csv").symlink_to("data/a.csv")
    (folder / "two.csv").symlink_to("one.csv")
    (folder / "more").symlink_to("data")
    files = {file.path: file.source for file in list_sources(folder)}
    assert sorted(files) == [
        "data/a.csv", "data/b.csv", "more/a.csv", "more/b.csv", "one.csv", "service.py", "two.csv",
    ]  # fmt: skip
    assert files["two.csv"] == files["more/a.csv"] == (folder / "data/a.csv").resolve()


def test_links_that_lead_nowhere_are_all_named(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py", "data/a.csv", ".git/config")
    (tmp_path / "outside").mkdir()
    links = {
        "out": "../outside",
        "passwd": "/etc/passwd",
        "self": "self",
        "dangling": "nothing",
        "up": ".",
        "data/circle": "..",
        "git": ".git/config",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    with pytest.raises(BuildError) as caught:
        list_sources(folder)
    for name in links:
        assert f"\n  {name} → " in str(caught.value)
    assert listed(folder, exclude=[f"/{name}" for name in links]) == ["data/a.csv", "service.py"]


def test_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py")
    os.mkfifo(folder / "pipe")
    assert listed(folder) == ["service.py"]


@pytest.mark.parametrize(
    "names",
    [("A.txt", "a.txt"), ("new\nline",), ("back\\slash",), (b"\xff".decode("utf-8", "surrogateescape"),)],
)
def test_names_that_other_systems_cannot_hold(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = project(tmp_path, "service.py", *names)
    with pytest.raises(BuildError, match="rename or exclude"):
        list_sources(folder)


def test_nothing_left(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py")
    with pytest.raises(BuildError, match="nothing to bundle"):
        list_sources(folder, exclude=["*"])


def test_a_project_inside_of_its_environment(tmp_path: Path) -> None:
    folder = project(tmp_path, "service.py", "pyvenv.cfg")
    with pytest.raises(BuildError, match="itself a Python environment"):
        list_sources(folder)


@pytest.mark.parametrize("pattern", ["!", "a\\"])
def test_a_pattern_that_is_none(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ConfigError, match="bad pattern"):
        list_sources(project(tmp_path, "service.py"), exclude=[pattern])


@pytest.mark.parametrize("place", ["store/", "deep/store/", ""])
def test_a_store_of_another_day_is_left_out(tmp_path: Path, place: str) -> None:
    """`TIFFIN_HOME` was `./store` in one shell and is not set in this one: its models are no source."""
    shelves = [f"{place}models/.lock", f"{place}models/.tmp/x", f"{place}models/iris/v1/model.pkl"]
    folder = project(tmp_path, "service.py", *shelves, f"{place}cache/locks/a", "here/models/net.onnx")
    assert listed(folder) == ["here/models/net.onnx", "service.py"]
