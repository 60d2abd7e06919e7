"""Ctrl-C while an engine builds: nothing of the build goes on, and nothing but its cache stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_ins import CannotStandInError, stand_in

IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
BUILD = """
import io, signal, sys, tarfile
from pathlib import Path
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.engine import BuildRequest

# A shell may have started pytest with Ctrl-C ignored, which programs inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
engine, folder, text = sys.argv[1:]

def context():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    yield buffer.getvalue()

choose(engine).engine.build(
    BuildRequest(
        dockerfile=text,
        folder=Path(folder),
        context=context,
        dockerfile_path="Dockerfile",
        tags=["tiffin-test/never:1"],
    ),
    lambda *step: None,
)
"""


def running(mark: str) -> list[str]:
    found = subprocess.run(["pgrep", "--full", mark], check=False, capture_output=True, text=True)
    return [each for each in found.stdout.split() if "python" not in Path(f"/proc/{each}/comm").read_text()]


def containers() -> set[str]:
    """Of builds; docker has none that can be seen."""
    said = subprocess.run(["buildah", "containers", "--json"], check=True, capture_output=True, text=True)
    return {each["id"] for each in json.loads(said.stdout) or []}


def test_ctrl_c(engine: str, tmp_path: Path) -> None:
    try:
        stand_in(engine, [IMAGE])
    except CannotStandInError as error:
        pytest.skip(f"there is no image to build on: {error}")
    mark = f"sleep 9{os.getpid()}.{time.time_ns()}"
    before = containers() if engine != "docker" else set()
    text = f"FROM {IMAGE}\nRUN {mark}\n"
    command = [sys.executable, "-c", BUILD, engine, str(tmp_path), text]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as build:
        while not running(f"^{mark}"):
            assert build.poll() is None, build.stderr and build.stderr.read()
            time.sleep(0.1)
        build.send_signal(signal.SIGINT)
        _, said = build.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    while running(f"^{mark}"):  # Docker's engine takes its time; the test's own limit ends it
        time.sleep(0.1)
    if engine != "docker":
        assert containers() <= before
