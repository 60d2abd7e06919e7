"""Trying a bundle in a clean environment.

No index is asked for anything: the environment of most tests is this process's own, and that of the others
has nothing in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from projects import echo_project, write

from tiffin.bundler import bundles, models
from tiffin.bundler.build import build
from tiffin.bundler.bundles import Bundle
from tiffin.bundler.check import check as check_module
from tiffin.bundler.check import environment as environment_module
from tiffin.bundler.check.called import Called
from tiffin.bundler.check.check import Report, check, demand
from tiffin.bundler.check.environment import CleanEnvironment, clean_environment
from tiffin.bundler.check.kept import kept
from tiffin.bundler.python.lockfile import LOCK_FILE
from tiffin.errors import BuildError, IntegrityError, UsageError
from tiffin.runtime.model.compare import Tolerance
from tiffin.runtime.model.recorded import Recorded, encode
from tiffin.runtime.model.replay import Replayed, replay

SERVICE = """
import os
import numpy as np
import tiffin
from jaxtyping import Float32

if os.environ.get("MOOD") == "exit":
    print("bye")
    os._exit(3)
if os.environ.get("MOOD") == "missing":
    import nowhere_to_be_found

@tiffin.service
class Sum:
    adder = tiffin.runner("adder:latest")

    @tiffin.api
    async def add(self, x: Float32[np.ndarray, "n 3"]) -> list[float]:
        return (await self.adder.predict(x)).tolist()

    if os.environ.get("MOOD") != "other":
        @tiffin.api
        def more(self) -> int:
            return 1
"""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ROWS = np.arange(6, dtype="float32").reshape(2, 3)


def total(x: Any) -> Any:
    if os.environ.get("MOOD") == "bad":
        raise RuntimeError("not today")
    return x.sum(axis=1)


@contextmanager
def this_environment(folder: Path, python: str) -> Iterator[CleanEnvironment]:
    yield CleanEnvironment(Path(sys.executable), 0, True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        models.save("adder", total, example=ROWS, methods=["predict"])
        build(write(folder / "project", {"service.py": SERVICE}), lock=False, version="v1")
    return folder / "home"


@pytest.fixture
def home(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path / "home")
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def made(home: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(check_module, "clean_environment", this_environment)
    return bundles.get("sum:v1")


def model_of(made: Bundle) -> Path:
    return next(made.path.glob("models/adder/*"))


def test_it_gives_what_it_gave(made: Bundle) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}
    report = check(made.path, made.info)
    assert report.problems() == []
    assert report.ok
    assert [(one.model, one.method, one.ok) for one in report.results] == [
        (made.info.models[0], "predict", True)
    ]
    assert (report.untried, report.python.startswith(PYTHON)) == ([], True)
    assert before == {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}  # nothing was written
    assert [(one.route, one.status, one.untried) for one in report.routes] == [
        ("/add", 200, ""),
        ("/more", 200, ""),
    ]
    demand(report)


def test_another_output_is_named(made: Bundle) -> None:
    """What was recorded is changed with all its digests, as another version of a library would change it."""
    _record(model_of(made), encode(Recorded((ROWS,), {}, np.array([3.0, 12.5], "float32"))))
    report = check(made.path, made.info)
    assert not report.ok
    what = r"1 of 2 values differ, by 0\.5 at most .*\[1\] was 12\.5, is 12\.0"
    with pytest.raises(BuildError, match=rf"{made.info.models[0]} predict\(\): output {what}"):
        demand(report)
    assert replay(model_of(made), Tolerance(atol=1))[0].ok


@pytest.mark.parametrize(
    ("output", "what"),
    [(np.array([3.0, 12.0]), "was float64, is float32"), ([3.0, 12.0], "was list, is ndarray")],
)
def test_other_types_are_named(made: Bundle, output: Any, what: str) -> None:
    _record(model_of(made), encode(Recorded((ROWS,), {}, output)))
    assert replay(model_of(made))[0].differences == [("output", what)]


def _record(model: Path, data: bytes) -> None:
    manifest = model / "model.yaml"
    raw = yaml.safe_load(manifest.read_text())
    (entry,) = raw["examples"]
    entry |= {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    for path, content in ((manifest, yaml.safe_dump(raw).encode()), (model / entry["path"], data)):
        path.unlink()
        path.write_bytes(content)


def test_a_model_that_raises(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOD", "bad")
    (result,) = replay(model_of(made))
    assert (result.ok, result.error) == (False, "RuntimeError: not today")


def test_a_service_that_is_another_there(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOD", "other")
    assert check(made.path, made.info).problems() == [
        "/more: the service describes it otherwise in the clean environment"
    ]


def test_a_service_that_cannot_be_imported(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOD", "missing")
    (problem,) = check(made.path, made.info).problems()
    assert "No module named 'nowhere_to_be_found'" in problem


def test_code_that_ends_the_process(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOOD", "exit")
    with pytest.raises(BuildError, match=r"exit code 3\):\n  bye"):
        check(made.path, made.info)


def test_another_answer_of_a_route_is_named(made: Bundle) -> None:
    """The rows that the model was saved with are sent to the route that takes such rows."""
    request = '{"x":[[0.0,1.0,2.0],[3.0,4.0,5.0]]}'
    before = Called(
        route="/add", request=request, status=200, media_type="application/json", body=b"[3,12.5]"
    )
    report = check(made.path, made.info, calls=[before])
    assert [one.route for one in report.routes if one.compared] == ["/add"]
    with pytest.raises(BuildError, match=r"POST /add: answer\[0\] was int 3, is float 3\.0"):
        demand(report)
    assert "POST /add: answer[1] 1 of 1 values differ, by 0.5 at most" in "\n".join(report.problems())
    assert check(made.path, made.info, calls=[before], routes=False).ok


def test_a_damaged_model_is_not_loaded(made: Bundle) -> None:
    (weights,) = (path for path in model_of(made).iterdir() if path.suffix == ".pkl")
    data = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(b"x" + data[1:])
    with pytest.raises(IntegrityError, match="is damaged"):
        replay(model_of(made))


@pytest.mark.usefixtures("home")
def test_a_model_without_an_example() -> None:
    assert replay(models.save("adder", total, methods=["predict"]).path) == []


def test_a_build_that_fails_its_check_leaves_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = echo_project(tmp_path / "project")
    wrong = Report(
        python="3", packages=0, cached=True, results=[Replayed(model="m:1", method="p", error="no")]
    )
    asked: list[bool] = []

    def checked(*_: Any, routes: bool, **__: Any) -> Report:
        asked.append(routes)
        return wrong

    monkeypatch.setattr(check_module, "check", checked)
    monkeypatch.setattr("tiffin.bundler.content.dependencies", _without_index)
    with pytest.raises(BuildError, match=r"m:1 p\(\) raises no"):
        build(project, check=True)
    assert not list((home / "bundles").glob("echo/*"))
    wrong.results.clear()
    kept_routes = [
        {
            "route": "/say",
            "request": '{"text":"text","times":1}',
            "status": 200,
            "media_type": "application/json",
            "answer": '"text"',
        }
    ]
    made = build(project, check=True)
    assert made.info.options["checked"] == {
        "python": "3",
        "packages": 0,
        "examples": 0,
        "routes": kept_routes,
    }
    assert [(call.route, call.body) for call in kept(made.info)] == [("/say", b'"text"')]
    asked.clear()
    uncalled = build(project, check=True, routes=False)
    assert asked == [False]
    assert uncalled.info.options["checked"]["routes"] == []
    with pytest.raises(UsageError, match=r"leave out --no-lock \(lock=False\)"):
        build(project, check=True, lock=False)
    with pytest.raises(UsageError, match="leave out routes=False"):
        build(project, routes=False)


def _without_index(*arguments: Any, **options: Any) -> Any:
    from tiffin.bundler.python.dependencies import dependencies

    assert options["lock"] is True
    return dependencies(*arguments, **{**options, "lock": False})


def bare(tmp_path: Path, lock: str = "") -> Path:
    write(tmp_path / "bundle", {LOCK_FILE: lock, "env/python/wheels/keep": ""})
    return tmp_path / "bundle"


def test_a_home_that_cannot_be_written(tmp_path: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "cache").write_text("in the way")  # as root nothing else keeps a folder from being made
    with (
        pytest.raises(BuildError, match=r"environments for checks are kept in .*: Not a directory; import"),
        clean_environment(bare(tmp_path), PYTHON),
    ):
        pass


@pytest.mark.usefixtures("home")
def test_the_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bare(tmp_path, "# nothing\n")
    with clean_environment(folder, PYTHON) as first:
        assert (first.cached, first.packages) == (False, 0)
    with clean_environment(folder, PYTHON) as second:
        assert second == first._replace(cached=True)
    monkeypatch.setattr(environment_module, "KEPT", 1)
    with clean_environment(bare(tmp_path, "# other\n"), PYTHON) as third:
        assert third.python != first.python
    assert (third.python.exists(), first.python.exists()) == (True, False)


@pytest.mark.usefixtures("home")
def test_what_it_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock names nothing, so the child has not even what tiffin needs."""
    made = bundles.get("sum:v1")
    write(tmp_path, {"lock": "# nothing\n"})
    monkeypatch.setattr(environment_module, "LOCK_FILE", str(tmp_path / "lock"))
    with pytest.raises(BuildError, match=r"(?s)ended in the clean environment.*No module named"):
        check(made.path, made.info)


@pytest.mark.usefixtures("home")
def test_a_lock_that_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    folder = bare(tmp_path, "nowhere-to-be-found==1.0\n")
    with (
        pytest.raises(BuildError, match=r"(?s)uv says:\n.*nowhere-to-be-found"),
        clean_environment(folder, PYTHON),
    ):
        pass
    assert not list((tmp_path / "home/cache/environments").glob("*/bin"))


@pytest.mark.usefixtures("home")
def test_no_lock_no_check() -> None:
    made = bundles.get("sum:v1")
    with pytest.raises(BuildError, match="needs locked requirements"):
        check(made.path, made.info)
