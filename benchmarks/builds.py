"""How long a build takes: the iris project beside `bentoml build` of the same, a notebook, many files that
stay out, much data that goes in, and a large model file.

    python benchmarks/builds.py [--rounds 5] [--megabytes 2000]

Whole commands, interpreter start included, in interleaved rounds; locks come from a warm cache on both sides.
The bars: iris under 2 s, a notebook under 5 s, 100,000 files in an excluded folder within the noise, a 2 GB
model read once and stored once. Hashing stands beside a loop that copies and hashes and does nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from environment import DidNotInstallError, Environment
from large_model import used_bytes
from report import Report

HERE = Path(__file__).parent
IRIS = HERE.parent / "examples" / "iris_sklearn"
BAR_IRIS_S, BAR_NOTEBOOK_S = 2.0, 5.0
EXCLUDED = 100_000
PER_FOLDER = 1000
BAR_EXCLUDED_TIMES = 1.25
"""Of a build without them: what two equal builds differ by on a shared machine."""
BENTO_SERVICE = '''
"""Names an iris flower from its four measurements."""

import bentoml
import joblib
import numpy as np


@bentoml.service
class Iris:
    model = bentoml.models.BentoModel("iris:latest")

    def __init__(self):
        self.classifier = joblib.load(self.model.path_of("model.joblib"))

    @bentoml.api
    def classify(self, flowers: np.ndarray) -> list[str]:
        return [str(i) for i in self.classifier.predict(flowers)]
'''
BENTO_FILE = """
service: "service:Iris"
labels:
  team: botany
include:
  - service.py
python:
  packages:
    - scikit-learn=={version}
    - joblib
"""
BENTO_SAVE = """
import shutil, sys
import bentoml

with bentoml.models.create("iris") as model:
    shutil.copy(sys.argv[1], model.path_of("model.joblib"))
"""
TORCHSCRIPT = """
import sys

import torch


class Large(torch.nn.Module):
    def __init__(self, rows: int):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.rand(rows, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights[:4, :4]


torch.jit.script(Large(int(sys.argv[1]) * 250)).save(sys.argv[2])
"""
SMALL_SERVICE = """
import tiffin


@tiffin.service
class Same:
    @tiffin.api
    async def same(self, x: int) -> int:
        return x
"""
SAVE_FILE = """
import sys
from pathlib import Path

import tiffin

tiffin.models.save("large", Path(sys.argv[1]), framework="torchscript")
counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
print(counts["read_bytes"])
"""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--megabytes", type=int, default=2000, help="of the model file, and of the files that go in"
    )
    options = parser.parse_args()
    report = Report("build")
    with tempfile.TemporaryDirectory(prefix="bench-build-") as scratch:
        figures, met = measure(report, Path(scratch), options.rounds, options.megabytes)
    report.keep(figures)
    return 0 if met else 1


def measure(report: Report, scratch: Path, rounds: int, megabytes: int) -> tuple[dict[str, object], bool]:
    seconds = small_builds(scratch, rounds)
    report.section(f"whole builds, medians of {rounds} interleaved rounds, seconds")
    rows = [
        [title, f"{statistics.median(each):.2f}", f"{min(each):.2f}", f"{max(each):.2f}"]
        for title, each in seconds.items()
    ]
    report.table(["what", "median", "least", "most"], rows)
    middle = {title: statistics.median(each) for title, each in seconds.items()}
    times = middle["iris, 100,000 files excluded"] / middle["iris"]
    hashing = hash_speed(scratch, megabytes)
    large = large_file(scratch, megabytes)
    report.section("much data")
    report.table(
        ["what", "value"],
        [
            [f"{megabytes:,} MB of source files into a bundle, MB/s", f"{hashing['build_mb_s']:,.0f}"],
            ["the same copied and hashed by a loop over threads, MB/s", f"{hashing['plain_mb_s']:,.0f}"],
            [f"save of a model file of {large['megabytes']:,.0f} MB, s", f"{large['save_s']:.2f}"],
            ["read from the disk by it, times its size", f"{large['read_times']:.2f}"],
            ["disk of the store, times its size", f"{large['disk_times']:.2f}"],
        ],
    )
    bars = [
        (f"iris under {BAR_IRIS_S:g} s", middle["iris"] < BAR_IRIS_S),
        (f"a notebook under {BAR_NOTEBOOK_S:g} s", middle["notebook"] < BAR_NOTEBOOK_S),
        (
            f"100,000 excluded files: {times:.2f} × (at most {BAR_EXCLUDED_TIMES:g})",
            times <= BAR_EXCLUDED_TIMES,
        ),
        ("a model file read once", large["read_times"] < 1.1),
        ("a model file stored once", large["disk_times"] < 1.1),
    ]
    report.lines([f"{asked}: {'met' if met else 'MISSED'}" for asked, met in bars])
    return {"seconds": seconds, "hashing": hashing, "large": large}, all(met for _, met in bars)


def small_builds(scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each whole command, by what was built."""
    home = {"TIFFIN_HOME": str(scratch / "home")}
    project = scratch / "iris"
    shutil.copytree(IRIS, project)
    run([sys.executable, "train.py"], project, home)
    crowded = scratch / "crowded"
    shutil.copytree(project, crowded)
    crowd(crowded / "data")
    (crowded / ".bundleignore").write_text("data/\n")
    notebook = scratch / "notebook"
    notebook.mkdir()
    (notebook / "train.ipynb").write_text(json.dumps(notebook_of(project / "service.py")))
    build = [sys.executable, "-m", "tiffin", "build"]
    commands: dict[str, tuple[list[str], Path, Mapping[str, str]]] = {
        "iris": (build, project, home),
        "iris, 100,000 files excluded": (build, crowded, home),
        "notebook": ([*build, "train.ipynb"], notebook, home),
    }
    bento = bentoml(scratch)
    if bento is not None:
        commands[bento[0]] = bento[1:]
    seconds: dict[str, list[float]] = {title: [] for title in commands}
    for number in range(rounds + 1):
        for title, (command, folder, environment) in commands.items():
            began = time.perf_counter()
            run(command, folder, environment)
            if number:  # the first one fills the caches
                seconds[title].append(time.perf_counter() - began)
    return seconds


def crowd(folder: Path) -> None:
    """Fills a folder."""
    for number in range(EXCLUDED // PER_FOLDER):
        part = folder / f"{number:03d}"
        part.mkdir(parents=True)
        for name in range(PER_FOLDER):
            (part / f"{name}.txt").touch()


def notebook_of(service: Path) -> dict[str, object]:
    """A cell that trains, which must not run, and one that is the service."""
    cells = [
        "import sys\n\nsys.exit('this cell must not run')\n",
        service.read_text().replace("from __future__ import annotations\n", ""),
    ]
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell{at}",
                "metadata": {},
                "source": text,
                "outputs": [],
                "execution_count": None,
            }
            for at, text in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def bentoml(scratch: Path) -> tuple[str, list[str], Path, Mapping[str, str]] | None:
    """The same for BentoML: title, command, folder and environment; None where it cannot be installed."""
    environment = Environment(HERE / "peers" / "bentoml")
    try:
        environment.make()
    except DidNotInstallError as error:
        print(f"BentoML: {error}", file=sys.stderr)
        return None
    import sklearn

    folder = scratch / "bento"
    folder.mkdir()
    (folder / "service.py").write_text(BENTO_SERVICE)
    (folder / "bentofile.yaml").write_text(BENTO_FILE.replace("{version}", sklearn.__version__))
    run(
        [
            sys.executable,
            "-c",
            "import joblib, sklearn.linear_model as l; joblib.dump(l.LogisticRegression(), 'model.joblib')",
        ],
        folder,
        {},
    )
    variables = {"BENTOML_HOME": str(scratch / "bentos"), "BENTOML_DO_NOT_TRACK": "1"}
    run([str(environment.python), "-c", BENTO_SAVE, "model.joblib"], folder, variables)
    command = [str(environment.python), "-m", "bentoml", "build"]
    return f"iris, bentoml {environment.version('bentoml')} build", command, folder, variables


def hash_speed(scratch: Path, megabytes: int) -> dict[str, float]:
    """MB/s of a build of large files, and of copying and hashing them in threads and nothing else."""
    project = scratch / "weights"
    project.mkdir()
    (project / "service.py").write_text(SMALL_SERVICE)
    block = os.urandom(1 << 20)
    for number in range(8):
        with (project / f"{number}.bin").open("wb") as file:
            for _ in range(megabytes // 8):
                file.write(block)
    size = sum(file.stat().st_size for file in project.glob("*.bin"))
    environment = {"TIFFIN_HOME": str(scratch / "weights-home")}
    empty = scratch / "empty"
    empty.mkdir()
    shutil.copy(project / "service.py", empty)

    def built(folder: Path) -> float:
        began = time.perf_counter()
        run([sys.executable, "-m", "tiffin", "build", "--no-lock"], folder, environment)
        return time.perf_counter() - began

    built(empty)
    alone_s = min(built(empty), built(empty))
    build_s = built(project)
    target = scratch / "plain"
    target.mkdir()
    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda path: copied(path, target / path.name), project.glob("*.bin")))
    plain_s = time.perf_counter() - began
    shutil.rmtree(target)
    shutil.rmtree(project)
    shutil.rmtree(scratch / "weights-home")
    return {"build_mb_s": size / 1e6 / max(build_s - alone_s, 1e-3), "plain_mb_s": size / 1e6 / plain_s}


def copied(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as read, target.open("wb", buffering=0) as write:
        while block := read.read(1 << 20):
            digest.update(block)
            write.write(block)
        os.fsync(write.fileno())
    return digest.hexdigest()


def large_file(scratch: Path, megabytes: int) -> dict[str, float]:
    """What saving a TorchScript file costs: seconds; bytes read from the disk and disk taken, by its size."""
    path = scratch / "large.pt"
    home = scratch / "large-home"
    script = scratch / "large.py"  # torch reads the source of what it compiles
    script.write_text(TORCHSCRIPT)
    run([sys.executable, str(script), str(megabytes), str(path)], scratch, {})
    size = path.stat().st_size
    forget(path)
    began = time.perf_counter()
    output = run([sys.executable, "-c", SAVE_FILE, str(path)], scratch, {"TIFFIN_HOME": str(home)})
    save_s = time.perf_counter() - began
    return {
        "megabytes": size / 1e6,
        "save_s": save_s,
        "read_times": int(output.split()[-1]) / size,
        "disk_times": used_bytes(home) / size,
    }


def forget(path: Path) -> None:
    """Out of the page cache, so that every first reading is one of the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, check=False, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {folder}: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
