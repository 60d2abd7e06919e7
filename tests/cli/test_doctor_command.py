"""`bundle doctor` on this machine and on real projects, models and bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from projects import adder_project, echo_project, write

import tiffin
from tiffin.bundler.doctor import examine
from tiffin.cli.main import root


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        root.main(["doctor", *arguments], prog_name="bundle")
    said = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, said.out, said.err


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code, out, _ = run(capsys, *arguments, "--json")
    return code, json.loads(out)


def names(report: Any, severity: str) -> set[str]:
    return {finding["check"] for finding in report["findings"] if finding["severity"] == severity}


def test_this_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, report = checked(capsys, "--port", "0")
    assert (report["kind"], report["target"], report["skipped"]) == ("machine", "this machine", {})
    assert report["checks"] == list(examine.CHECKS)
    assert code == (1 if names(report, "error") else 0)
    echo_project(tmp_path)
    assert "bundle doctor ." in run(capsys, "--port", "0")[2]


def test_nothing_of_that_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiffin.models.save("iris", int)
    code, _, err = run(capsys, "irsi")
    assert code == 2
    assert err.startswith(f"error: nothing to examine at 'irsi': no such file or folder in {tmp_path}; ")
    assert "the store has no bundle or model of that name; did you mean 'iris'?" in err
    (tmp_path / "empty").mkdir()
    assert f"nothing to examine in {tmp_path / 'empty'}: tried bundle.yaml" in run(capsys, "empty")[2]


def test_a_project_whose_model_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    project = adder_project(tmp_path / "project")
    tiffin.models.delete("adder")
    write(
        project, {"train.py": "", "requirements.txt": "numpy\n", "key.pem": "", "weights.pkl": b"\x80\x04N."}
    )
    code, out, _ = run(capsys, str(project), "--port", "0")
    assert code == 1
    assert "error [service] service.py:" in out
    assert ": runner adder: no model 'adder'" in out
    assert f"mend  cd {project} && python train.py" in out
    assert "warning [pickles] weights.pkl is a pickle beside the code" in out
    assert not list((project.parent).glob("**/__pycache__"))


def test_a_project_its_bundle_and_its_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    project = adder_project(tmp_path / "project")
    made = tiffin.build(project, lock=False)
    model = str(tiffin.models.get("adder").tag)
    for target, kind, title in (
        (str(project), "folder", str(project)),
        ("adder", "bundle", str(made.tag)),
        (str(made.path), "bundle", str(made.tag)),
        (model, "model", model),
    ):
        _, report = checked(capsys, target, "--port", "0")
        assert (report["kind"], report["target"], report["skipped"]) == (kind, title, {})
        assert not names(report, "error") & {"service", "models", "versions", "memory", "pickles"}
        assert "pickles" in names(report, "note")
    assert "pins" in names(checked(capsys, "adder", "--port", "0")[1], "warning")


def test_a_model_file_is_looked_at_and_not_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    marker = tmp_path / "ran"
    for name, command in (("evil.joblib", f"touch {marker}"), ("evil.pt", f"touch {marker}")):
        (tmp_path / name).write_bytes(b"cposix\nsystem\n(V" + command.encode() + b"\ntR.")
        code, report = checked(capsys, name, "--port", "0")
        assert (code, report["kind"]) == (1, "file")
        assert "pickles" in names(report, "error")
    (tmp_path / "good.joblib").write_bytes(b"\x80\x04N.")
    assert "pickles" in names(checked(capsys, "good.joblib", "--port", "0")[1], "note")
    assert not marker.exists()
    assert not home.exists()


def test_warnings_count_when_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiffin.build(echo_project(tmp_path / "project"), lock=False)
    loose, strict = checked(capsys, "echo", "--port", "0"), checked(capsys, "echo", "--port", "0", "--strict")
    assert "pins" in names(loose[1], "warning")
    assert strict[0] == 1
    assert loose[0] == (1 if names(loose[1], "error") else 0)


def test_nothing_is_run_when_it_may_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    project = echo_project(tmp_path / "project")
    with (project / "service.py").open("a") as file:
        file.write(f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n")
    _, report = checked(capsys, str(project), "--no-import", "--port", "0")
    assert not (tmp_path / "ran").exists()
    assert "service" in report["skipped"]
    checked(capsys, str(project), "--port", "0")
    assert (tmp_path / "ran").exists()


def test_what_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "nothing-of-that-name")
    assert (code, out) == (2, "")
    assert "the store has no bundle or model of that name" in err


def test_a_check_that_cannot_look_hides_not_what_others_see(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(patient: object) -> Any:
        raise PermissionError(13, "Permission denied")

    from patients import patient

    monkeypatch.setattr(examine, "CHECKS", {"broken": broken, **examine.CHECKS})
    found, skipped = examine.diagnose(patient(on={"uv": False}, port=0))
    assert skipped == {"broken": "[Errno 13] Permission denied"}
    assert "uv" in {finding.check for finding in found}
