"""A project from a template: made, trained, tested, built and served as its README says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from server import Server

from tiffin.bundler.start.project import init_project
from tiffin.bundler.start.templates import TEMPLATES

TRAIN_TEST_BUILD = """
import runpy, sys
sys.path.insert(0, ".")
runpy.run_path("train.py")
import pytest
if code := pytest.main(["-q", "-p", "no:cacheprovider"]):
    sys.exit(code)
import tiffin
tiffin.build(".", lock=False)
"""


def answer_of(template: str, folder: Path) -> Any:
    """What the served bundle answers to the README's curl line."""
    # Without the plug-ins of this environment, which take longer to import than the project to test.
    # And with one thread: those of two frameworks at once would wait for each other.
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
    environ["TIFFIN_HOME"] = str(folder / f"home-{template}")
    project = folder / f"new-{template}"

    init_project(project, template)
    # In one process: importing a framework takes longest.
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_TEST_BUILD],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    chosen = TEMPLATES[template]
    with Server(f"new-{template}:latest", "--no-grpc", environ=environ) as server:
        request = urllib.request.Request(
            f"{server.base_url}/{chosen.route}",
            data=chosen.body.encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
