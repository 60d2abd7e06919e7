"""`bundle-serve` as a command: what it says before there is anything to serve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from entry_server import environment
from fresh_process import run_fresh


def ran(*arguments: str, bundle: Path | str = "/nowhere", **variables: str | None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tiffin.runtime.entrypoint", *arguments],
        env=environment(bundle, variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_unknown_argument() -> None:
    code, said, log = ran("sreve")
    assert (code, said) == (2, "")
    assert "unknown argument 'sreve'; did you mean 'serve'?" in log
    assert "Traceback" not in log


def test_no_bundle(tmp_path: Path) -> None:
    code, _, log = ran(bundle=tmp_path / "missing")
    assert code == 2
    assert "TIFFIN_BUNDLE" in json.loads(log)["msg"]
    code, _, log = ran(bundle=tmp_path)
    assert (code, "nothing to serve" in json.loads(log)["msg"]) == (2, True)


def test_a_damaged_bundle_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "bundle.yaml").write_text("name: x")
    code, _, log = ran(bundle=tmp_path)
    assert (code, "bundle.yaml is damaged" in json.loads(log)["msg"]) == (1, True)


def test_help() -> None:
    code, said, log = ran("--help")
    assert (code, log) == (0, "")
    assert "$TIFFIN_WORKERS" in said


def test_a_platform_logs_json_without_being_asked(tmp_path: Path) -> None:
    _, _, log = ran(bundle=tmp_path, KUBERNETES_SERVICE_HOST="10.0.0.1", TIFFIN_LOG_FORMAT=None)
    first, second = map(json.loads, log.splitlines())
    assert (first["platform"], second["level"]) == ("kubernetes", "critical")
    _, _, log = ran(bundle=tmp_path, TIFFIN_LOG_FORMAT=None)
    with pytest.raises(ValueError, match=r"Extra data|Expecting"):
        json.loads(log)


def test_it_imports_no_more_than_the_supervisor(tmp_path: Path) -> None:
    """It stays for as long as the container does."""
    found = run_fresh(
        "import sys, tiffin.runtime.entrypoint, tiffin.runtime.supervisor.serve\n"
        "import tiffin.runtime.platforms.lambda_loop\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'numpy', 'litestar', 'uvicorn', 'click', 'rich', 'prometheus_client'}))",
        tmp_path,
    )
    assert found == "[]"
