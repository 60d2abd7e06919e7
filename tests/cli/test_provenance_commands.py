"""sign, verify --key, check, diff, sbom, show: what people and machines are told."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from projects import AddTwo, adder_project, write

from tiffin.bundler import models
from tiffin.bundler.check import check as check_module
from tiffin.bundler.check.check import Report
from tiffin.bundler.check.route_result import RouteResult
from tiffin.cli.main import root
from tiffin.runtime.model.replay import Replayed


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        root.main(list(arguments), prog_name="bundle")
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    found, out, err = run(capsys, *arguments, "--json")
    assert (found, err) == (code, "")
    return json.loads(out)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """adder:v1 and adder:v2, whose route has another input, in a repository with uncommitted changes."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        project = adder_project(folder / "project")
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run(
                ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=project, check=True
            )
        build = ["build", str(project), "--no-lock"]
        for more in (
            ["--version", "v1", "--metric", "speed=1.5", "--data", "far=s3://b/x"],
            ["--version", "v2"],
        ):
            with pytest.raises(SystemExit) as end:
                root.main([*build, *more], prog_name="bundle")
            assert end.value.code == 0
            models.save(
                "adder", AddTwo(), methods=["predict"], example=1, parent="adder", metrics={"loss": 0.5}
            )
            text = (project / "service.py").read_text()
            write(project, {"service.py": text.replace("number: int)", "number: int, more: int)")})
    return folder / "home"


@pytest.fixture
def home(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(built, tmp_path / "home")
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.usefixtures("home")
def test_make_a_key_sign_and_verify(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, "sign", "--new-key", "key.pem")
    assert (code, err) == (0, "")
    assert "key.pub.pem" in out
    assert run(capsys, "sign", "--new-key", "key.pem")[::2] == (
        2,
        "error: key.pem exists: give another name, a key is never overwritten\n",
    )
    signed = run_json(capsys, "sign", "adder:v1", "--key", "key.pem")
    found = run_json(capsys, "verify", "adder:v1", "--key", "key.pub.pem")
    assert (found["ok"], found["signed_by"], found["signatures"]) == (True, signed["key"], [signed["key"]])
    assert f"signed by {signed['key']}" in run(capsys, "verify", "adder:v1", "--key", "key.pub.pem")[1]
    assert "says that it is signed by" in run(capsys, "verify", "adder:v1")[1]
    assert run_json(capsys, "verify", "adder:v2", "--key", "key.pub.pem", code=1)["signed_by"] is None
    assert "nobody signed it" in run(capsys, "verify", "adder:v2", "--key", "key.pub.pem")[2]
    assert signed["key"] in run(capsys, "show", "adder:v1")[1]
    monkeypatch.setenv("TIFFIN_KEY_PASSPHRASE", "horse")
    both = run_json(capsys, "sign", "adder:v2", "--new-key", "safe.pem")
    assert both["tag"] == "adder:v2"
    monkeypatch.delenv("TIFFIN_KEY_PASSPHRASE")
    assert "set TIFFIN_KEY_PASSPHRASE" in run(capsys, "sign", "adder:v2", "--key", "safe.pem")[2]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["sign"], "name a bundle"),
        (["sign", "adder:v1"], "--key is missing"),
        (["sign", "adder:v1", "--key", "a", "--new-key", "b"], "exclude each other"),
        (["sign", "adder:v1", "--key", "nowhere.pem"], "cannot read the key nowhere.pem"),
        (["verify", "adder:v1", "--key", "nowhere.pem"], "cannot read the public key"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], arguments: list[str], what: str) -> None:
    code, _, err = run(capsys, *arguments)
    assert (code, what in err) == (2, True), err


@pytest.mark.usefixtures("home")
def test_diff(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "diff", "adder:v1", "adder:v2")
    assert (code, err) == (0, "")
    assert "adder:v1 → adder:v2: 1 breaking change\n" in out
    assert "BREAKING  POST /add: input more  new required input" in out
    found = run_json(capsys, "diff", "adder:v1", "adder:v2", "--fail-on", "breaking", code=1)
    assert (found["differs"], found["breaking"]) == (True, 1)
    assert found["schema"][0] == {
        "path": "POST /add: input more",
        "what": "new required input",
        "breaking": True,
    }
    assert found["metrics"]["removed"] == {"speed": "1.5"}
    assert found["models"][0]["metrics"]["added"] == {"loss": "0.5"}
    assert run(capsys, "diff", "adder:v2", "adder:v1", "--fail-on", "any")[0] == 1
    assert run(capsys, "diff", "adder:v1", "adder:v1", "--fail-on", "any")[:2] == (
        0,
        "adder:v1 → adder:v1: no difference\n",
    )


@pytest.mark.usefixtures("home")
def test_diff_of_models(capsys: pytest.CaptureFixture[str]) -> None:
    old, new, _ = (str(model.tag) for model in models.list("adder"))
    code, out, _ = run(capsys, "models", "diff", old, new)
    assert (code, "nothing that breaks callers; the same digest" in out) == (0, True)
    assert "loss" in out
    assert run_json(capsys, "models", "diff", old, new)["origin"]["added"]["parent.tag"] == old


@pytest.mark.usefixtures("home")
def test_show_tells_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "show", "adder:v1")[1]
    assert "s3://b/x" in out
    assert "speed 1.5" in out
    out = run(capsys, "show", "adder:v2")[1]
    assert "with uncommitted changes of 1 file; --diff shows them" in out
    assert "loss 0.5" in out
    assert "+    async def add(self, number: int, more: int)" in run(capsys, "show", "adder:v2", "--diff")[1]
    found = run_json(capsys, "show", "adder:v2")
    assert found["model_manifests"][0]["provenance"]["metrics"] == {"loss": 0.5}
    assert "msgspec" in found["packages"]["requirements.in"]
    tag = found["models"][0]
    assert "parent" in run(capsys, "models", "show", tag)[1]


@pytest.mark.usefixtures("home")
def test_sbom(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "sbom", "adder:v1")
    assert (code, err) == (0, "")
    component = json.loads(out)["metadata"]["component"]
    assert (component["name"], component["version"]) == ("adder", "v1")
    assert {"name": "tiffin:bundle", "value": "adder:v1"} in component["properties"]
    assert run(capsys, "sbom", "adder:v1", "-o", "x.json")[:2] == (0, "")
    assert (tmp_path / "x.json").read_text() == out


@pytest.mark.usefixtures("home")
def test_check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run(capsys, "check", "adder:v1")
    assert (code, "needs locked requirements" in err) == (1, True)
    result = Replayed(model="adder:1", method="predict")
    report = Report(python="3.11.7", packages=3, cached=True, results=[result])
    asked: list[bool] = []

    def checked(*_: Any, routes: bool, **__: Any) -> Report:
        asked.append(routes)
        return report

    monkeypatch.setattr(check_module, "check", checked)
    report.routes = [
        RouteResult(route="/same", status=200, compared=True),
        RouteResult(route="/other", status=200),
        RouteResult(route="/none", untried="no example could be made"),
    ]
    code, out, err = run(capsys, "check", "adder:v1")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "same outputs adder:1: predict()" in lines
    assert {"same answers /same", "answered /other", "not tried /none: no example could be made"} <= {*lines}
    report.routes = []
    run(capsys, "check", "adder:v1", "--no-routes")
    assert asked == [True, False]
    result.differences.append(("output[1]", "was 1, is 2"))
    code, out, err = run(capsys, "check", "adder:v1", "--rtol", "0.1")
    assert (code, err) == (1, "error: adder:1 predict(): output[1] was 1, is 2\n")
    found = run_json(capsys, "check", "adder:v1", code=1)
    assert (found["ok"], found["problems"]) == (False, ["adder:1 predict(): output[1] was 1, is 2"])


@pytest.mark.usefixtures("home")
def test_data_that_is_not_there_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, _, err = run(capsys, "build", "--data", "a=data/no.csv", "--data", "b=s3://x/y.csv", "--data", "c=t@2")
    warnings = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        "warning: --data a=data/no.csv: no such file or folder here, so these words are noted as they are"
    ]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "option", [["--data", "x"], ["--data", "=x"], ["--metric", "x=y"], ["--metric", "=1"]]
)
def test_wrong_words_for_a_build(capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    code, _, err = run(capsys, "build", *option)
    assert (code, "is not NAME=" in err) == (2, True)
