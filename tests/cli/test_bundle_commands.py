"""The commands for bundles, in one process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click import Argument
from model_files import forest, write_pickle
from projects import adder_project, echo_project, write

from tiffin.cli.main import root
from tiffin.cli.offered import offered
from tiffin.cli.tags import BundleTag, TagType, Target


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        project = adder_project(folder / "project")
        _run(["build", str(project), "--version", "v1", "--no-lock", "--json"])
    return folder / "home"


@pytest.fixture
def home(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path / "home")
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def _run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        root.main(arguments, prog_name="bundle")
    assert isinstance(end.value.code, int)
    return end.value.code


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = _run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.usefixtures("home")
def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 2)
    assert lines[0].split() == ["TAG", "SIZE", "CREATED", "(UTC)", "MODELS", "DIGEST"]
    assert lines[1].startswith("adder:v1 ")
    (found,) = run_json(capsys, "list")
    assert set(found) == {"tag", "name", "version", "digest", "size_bytes", "created", "models", "path"}
    assert found["tag"] == "adder:v1"
    assert run_json(capsys, "list", "other") == []
    assert run(capsys, "list", "other") == (0, "", "no bundle 'other'\n")
    assert run(capsys, "list", "ader") == (0, "", "no bundle 'ader'; did you mean 'adder'?\n")


def test_list_survives_a_damaged_bundle(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    damaged = home / "bundles" / "adder" / "v0"
    damaged.mkdir()
    (damaged / "bundle.yaml").write_text("not: a: manifest")
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["TAG", "adder:v1", "adder:v0"]
    whole, broken = run_json(capsys, "list")
    assert (whole["tag"], "error" in whole) == ("adder:v1", False)
    assert (broken["tag"], "is not YAML" in broken["error"]) == ("adder:v0", True)
    assert run(capsys, "delete", "adder:v0", "-y")[0] == 0


@pytest.mark.usefixtures("home")
def test_an_archive_of_the_other_kind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bundle, model = str(tmp_path / "bundle.tar"), str(tmp_path / "model.tar")
    assert (
        run(capsys, "export", "adder", bundle)[0] == run(capsys, "models", "export", "adder", model)[0] == 0
    )
    code, _, err = run(capsys, "import", model)
    assert (code, "it holds a model, which `bundle models import` takes" in err) == (1, True)
    code, _, err = run(capsys, "models", "import", bundle)
    assert (code, "it holds a bundle, which `bundle import` takes" in err) == (1, True)


def test_show_tells_the_batch_of_each_method(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    service = (
        "import tiffin\nclass Work:\n"
        "    @tiffin.batch(max_size=7)\n    def small(self, x: list[int]) -> list[int]: return x\n"
        "    @tiffin.batch\n    def large(self, x: list[int]) -> list[int]: return x\n"
        "    @tiffin.batch(cost='length', max_cost=90, pad=0, buckets=(8, 16), sizes=(1, 4))\n"
        "    def ragged(self, x: list[list[int]]) -> list[int]: return x\n"
        "    def alone(self, x: int) -> int: return x\n"
        "@tiffin.service\nclass Shop:\n    work = tiffin.runner(Work, max_batch_size=32, workers=2)\n"
        "    @tiffin.api\n    async def go(self, x: int) -> int: return await self.work.small.one(x)\n"
    )
    write(home.parent / "shop", {"service.py": service})
    assert run(capsys, "build", "shop", "--no-lock")[0] == 0
    lines = [line.split() for line in run(capsys, "show", "shop")[1].splitlines()]
    start = next(place for place, words in enumerate(lines) if words[:1] == ["RUNNER"])
    ragged = "4 rows and 90 of length, padded to 8, 16, filled up to 1, 4 rows"
    assert [" ".join(words) for words in lines[start + 1 : start + 5]] == [
        "work service:Work 2 small 7 rows",
        "large 32 rows",
        f"ragged {ragged}",
        "alone a call at a time",
    ]
    (readme,) = (path.read_text() for path in home.glob("**/shop/*/README.md"))
    assert f"| `work.ragged` | service:Work | 2 | {ragged} |" in readme


@pytest.mark.usefixtures("home")
def test_tags_and_files_complete() -> None:
    context = root.make_context("bundle", [], resilient_parsing=True)

    def answers(kind: TagType | Target, typed: str) -> list[tuple[str, str]]:
        parameter = Argument(["tag"], type=kind)
        return [(item.type, item.value) for item in kind.shell_complete(context, parameter, typed)]

    assert answers(BundleTag(), "ad") == answers(Target(bundles=True), "adder:") == [("plain", "adder:v1")]
    assert answers(BundleTag(), "x") == []
    assert answers(Target(bundles=True), "x") == [("file", "x")]
    assert answers(Target(bundles=False), "ad") == [("file", "ad")]


@pytest.mark.usefixtures("home")
def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "adder")
    assert code == 0
    for words in (
        "adder:v1",
        "Adds two.",
        "sha256:",
        "(1 source, 3 of models)",
        "(pickle)",
        "not locked: not asked for; from imports",
    ):
        assert words in out
    assert "POST /add  number: integer" in out
    assert "adder:latest" not in out
    found = run_json(capsys, "show", "adder")
    assert found["tag"] == "adder:v1"
    assert found["service"]["apis"][0]["route"] == "/add"
    assert {file["path"] for file in found["files"]} >= {"src/service.py", "README.md"}
    code, _, err = run(capsys, "show", "addre")
    assert (code, "did you mean 'adder'" in err) == (1, True)


def test_export_import_delete(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, "export", "adder")
    assert code == 0
    assert "bundle import adder-v1.tar" in out
    assert "bundle import 'my folder/a.tar'" in run(capsys, "export", "adder", "my folder/a.tar")[1]
    packed = run_json(capsys, "export", "adder:v1", "x/a.tgz")
    assert packed["size_bytes"] == (tmp_path / "x/a.tgz").stat().st_size
    assert packed["path"] == str(tmp_path / "x/a.tgz")
    code, out, err = run(capsys, "delete", "adder")
    assert (code, out) == (2, "")
    assert "add --yes" in err
    assert run(capsys, "delete", "adder", "nothing", "--yes")[0] == 1
    assert (home / "bundles/adder/v1").is_dir()
    assert run(capsys, "delete", "adder", "adder:v1", "-y") == (0, "deleted adder:v1\n", "")
    assert not (home / "bundles/adder").exists()
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "other"))
    code, out, _ = run(capsys, "import", "adder-v1.tar")
    assert (code, out.startswith("Imported adder:v1\n")) == (0, True)
    assert run_json(capsys, "import", "x/a.tgz")["tag"] == "adder:v1"
    assert run_json(capsys, "delete", "adder", "-y") == {"deleted": ["adder:v1"]}
    (tmp_path / "bad.tar").write_bytes((tmp_path / "adder-v1.tar").read_bytes()[:3000])
    code, out, err = run(capsys, "import", "bad.tar")
    assert (code, out) == (1, "")
    assert "cut short" in err
    assert run(capsys, "import", "none.tar")[0] == 1
    assert run_json(capsys, "list") == []


def test_verify(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, err = run(capsys, "verify", "adder")
    assert (code, err) == (0, "")
    assert out.startswith("adder:v1 is whole: 12 files")
    assert run_json(capsys, "verify", "adder")["ok"] is True
    service = home / "bundles/adder/v1/src/service.py"
    service.chmod(0o644)
    service.write_text("x")
    (service.parent / "new.py").touch()
    code, out, err = run(capsys, "verify", "adder")
    assert code == 1
    assert out.splitlines()[1:] == ["src/service.py  changed", "src/new.py      not listed"]
    assert "error: adder:v1 is damaged: 2 files" in err
    code, out, _ = run(capsys, "verify", "adder", "--json")
    assert code == 1
    assert json.loads(out)["damage"] == [
        {"path": "src/service.py", "what": "changed"},
        {"path": "src/new.py", "what": "not listed"},
    ]


def test_build(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(echo_project(tmp_path / "project"))
    code, out, err = run(capsys, "build", "--no-lock", "--name", "loud", "--version", "v2", "--label", "a=b")
    assert (code, err) == (0, "")
    for words in (
        "Built loud:v2\n",
        "sha256:",
        "service:Echo, 1 route\n",
        "not locked",
        "bundle serve loud:v2",
    ):
        assert words in out
    found = run_json(capsys, "build", "service:Echo", "--no-lock")
    assert (found["name"], found["locked"], found["unlocked_because"]) == ("echo", False, "not asked for")
    assert run(capsys, "build", "--label", "nonsense")[0] == 2
    assert run(capsys, "build", "nowhere")[0] == 2
    assert run(capsys, "build", "--name", "BAD")[0] == 2
    (tmp_path / "project/.env").touch()
    code, out, err = run(capsys, "build", "--no-lock")
    assert (code, out) == (1, "")
    assert ".env: environment file" in err
    assert len(list((home / "bundles").glob("*/*"))) == 3


def test_a_build_without_a_lock_says_so(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiffin.bundler.python import lock

    monkeypatch.setattr(lock, "find_uv", lambda: None)
    project = str(echo_project(tmp_path / "project"))
    code, out, err = run(capsys, "build", project)
    assert code == 0
    assert "not locked: uv is not installed" in out
    assert err.startswith("warning: built without a lock of the requirements: uv is not installed")
    assert run_json(capsys, "build", project)["locked"] is False
    code, out, err = run(capsys, "build", project, "--lock")
    assert (code, out) == (1, "")
    assert "could not be locked: uv is not installed" in err
    assert len(list((home / "bundles/echo").iterdir())) == 2


def apart(*arguments: str) -> tuple[int, str, str]:
    """A command in a process of its own: `serve` takes over the standard streams of its process."""
    done = subprocess.run(
        [sys.executable, "-m", "tiffin", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["build", "serve"])
def test_a_folder_with_nothing_hints_at_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "data.csv").write_text("1,2")
    code, _, err = apart(verb)
    assert (code, err.splitlines()[-1]) == (2, "A small project to begin with: bundle init")
    assert apart(verb, "new")[2].splitlines()[-1] == "A small project to begin with: bundle init new"
    (tmp_path / "new" / "app.py").write_text("")
    assert "bundle init" not in apart(verb, "new")[2]
    assert "bundle init" not in apart(verb, "nowhere")[2]


@pytest.mark.parametrize("verb", ["build", "serve"])
def test_settings_under_the_name_of_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bundle.yaml").write_text("service: service:Iris\n")
    code, _, err = apart(verb)
    assert (code, err.splitlines()[-1]) == (
        2,
        "bundle.yaml is what a bundle holds; what a project wants is in bundlefile.yaml",
    )


def test_a_store_that_is_a_file_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "home"
    file.write_text("")
    monkeypatch.setenv("TIFFIN_HOME", str(file))
    for command, noun in (
        (["list"], "bundles"),
        (["list", "iris"], "bundles"),
        (["models", "list"], "models"),
    ):
        code, out, err = run(capsys, *command)
        assert (code, out) == (1, "")
        assert f"{file} is a file, and {noun} are kept in a folder" in err
    context = root.make_context("bundle", [], resilient_parsing=True)
    assert BundleTag().shell_complete(context, Argument(["tag"]), "ir") == []
    assert offered(BundleTag().names)(context, Argument(["name"]), "ir") == []


def test_files_beside_names_and_versions_are_no_matter(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "bundles" / "stray").write_text("")
    (home / "bundles" / "adder" / "stray").write_text("")
    assert [row["tag"] for row in run_json(capsys, "list")] == ["adder:v1"]
    assert run(capsys, "list", "stray")[::2] == (0, "no bundle 'stray'\n")


@pytest.mark.parametrize("damage", ["source", "manifest"])
def test_a_damaged_bundle_says_how_to_mend_it(home: Path, damage: str) -> None:
    bundle = home / "bundles" / "adder" / "v1"
    file = next((bundle / "src").glob("*.py")) if damage == "source" else bundle / "bundle.yaml"
    file.chmod(0o644)
    file.write_text(file.read_text() + "\nmore: 1\n")
    for command in ("serve", "show") if damage == "manifest" else ("serve",):
        code, _, err = apart(command, "adder")
        assert (code, err.splitlines()[-1]) == (1, "delete the bundle, and import it again or build it anew")
        assert "is damaged" in err


def test_a_newer_format_is_no_damage(home: Path) -> None:
    file = home / "bundles" / "adder" / "v1" / "bundle.yaml"
    file.chmod(0o644)
    file.write_text(file.read_text().replace("format: 1", "format: 2", 1))
    err = apart("serve", "adder")[2]
    assert "upgrade tiffin" in err
    assert "delete" not in err


def test_a_pickle_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    file = write_pickle(tmp_path / "forest.pkl", forest())
    assert _run(["build", str(file), "--no-lock"]) == 0
    told = capfd.readouterr()
    assert (told.out + told.err).count("loading it runs code from it") == 1
    assert "loading it runs code from it" in told.err
