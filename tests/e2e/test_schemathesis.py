"""The OpenAPI of a running server is true: requests made up from it, by a tool that knows nothing of us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from everything import write_project
from server import Server

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
LEFT_OUT = ("/fail", "/nap")
"""One fails and one sleeps for as long as it is told."""


def test_what_is_made_up_from_the_schema(tmp_path: Path) -> None:
    with Server(write_project(tmp_path), "--no-access-log") as server:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.base_url}/schema"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "10", "--seed", "1", "--continue-on-failure", "--no-color"),
            *(word for path in LEFT_OUT for word in ("--exclude-path", path)),
        ]
        run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        log = server.log()
        assert log.count("Traceback") == log.count("ValueError: thirteen")  # of /count, as it is written
