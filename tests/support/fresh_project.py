"""A project from a template: made, trained, tested, built and served by the commands of its README."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from server import Server

from tiffin.bundler.start.templates import TEMPLATES

TRAIN_AND_TEST = """
import runpy, sys
sys.path.insert(0, ".")
runpy.run_path("train.py")
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider"]))
"""
TIFFIN = [sys.executable, "-m", "tiffin"]


def answer_of(template: str, folder: Path) -> Any:
    """What the served bundle answers to the README's curl line."""
    # Without the plug-ins of this environment, which take longer to import than the project to test.
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environ["TIFFIN_HOME"] = str(folder / f"home-{template}")
    project = folder / f"new-{template}"

    def run(*command: str, where: Path = project) -> None:
        done = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"

    run(*TIFFIN, "init", str(project), "--template", template, where=folder)
    # Training and its test in one process: importing a framework takes longest.
    run(sys.executable, "-c", TRAIN_AND_TEST)
    run(*TIFFIN, "build", "--no-lock")
    chosen = TEMPLATES[template]
    with Server(f"new-{template}:latest", "--no-grpc", environ=environ) as server:
        request = urllib.request.Request(
            f"{server.base_url}/{chosen.route}",
            data=chosen.body.encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
