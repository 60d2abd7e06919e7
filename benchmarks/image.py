"""Container images of one model: how large, how quickly built, how much is sent again after a change.

    make bench-image

Both sides serve the same scikit-learn forest on the same base and are built by the same engine, from the
folder that each one's own tool gives it, made anew for each build: tiffin's links, and BentoML's copies in a
temporary folder. `cold`: neither a step nor a package is in any cache; `warm`: nothing has changed. The two
sides take turns, round by round, and medians are shown: what else the machine does meets both. What is sent
again are the layers, unpacked, that the image before did not have. The bar: less than 1 MB after a change of
one line, and better than BentoML on every figure.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from boxes import Box
from image_sides import ENGINE, BentoML, Context, Side, Tiffin
from layers import Saved
from report import Report
from stand_ins import CannotStandInError, images_of, stand_in

from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.engine import BuildRequest

BAR_CODE_BYTES = 1_000_000
ROWS = {"rows": [[0.1] * 20]}


def silent(text: str, done: int, total: int) -> None:
    """Nobody looks."""


class Builder:
    """Builds images of one side and weighs them."""

    def __init__(self, side: Side, folder: Path) -> None:
        mark = uuid.uuid4().hex[:8]
        self.side = side
        self.name = f"tiffin-bench/{type(side).__name__.lower()}:{mark}"
        self._folder = folder
        self._mark = f"tiffin-bench-{mark}"
        self._cache = self._mark
        self._engine = choose(ENGINE).engine
        self._sizes: dict[str, int] = {}

    def build_s(self, made: Context, *, cold: int | None = None) -> float:
        """Seconds; with its own caches of packages, empty ones for each number of a `cold` build."""
        if cold is not None:
            self._cache = f"{self._mark}-{cold}"
        text = re.sub(self.side.cache, self._own_cache, made.dockerfile)
        assert text != made.dockerfile, "its cache mount was not found"
        request = BuildRequest(
            dockerfile=text,
            folder=self._folder,
            context=lambda: iter(()),
            dockerfile_path="Dockerfile",
            tags=[self.name],
            staged=lambda _: made.folder(text),
            build_args=made.build_args,
            network="host",
            no_cache=cold is not None,
        )
        began = time.monotonic()
        self._engine.build(request, silent)
        return time.monotonic() - began

    def _own_cache(self, found: re.Match[str]) -> str:
        if found[1]:
            return found[0].replace(found[1], f"{found[1]}-{self._cache}")
        return found[0].replace("type=cache,", f"type=cache,id={self._cache},")

    def weigh(self) -> tuple[int, dict[str, int]]:
        """Bytes of layers that the image weighed before did not have, and all layers."""
        path = self._folder / "saved.tar"
        self._engine.save(self.name, path, silent)
        saved = Saved(path)
        before, self._sizes = self._sizes, saved.sizes()
        saved.close()
        path.unlink()
        return sum(size for digest, size in self._sizes.items() if digest not in before), self._sizes

    def start_s(self) -> float:
        """From `docker run` to the first answer of the model."""
        began = time.monotonic()
        with Box(ENGINE, self.name) as box:
            box.wait_until_ready()
            answer = box.post("/classify", ROWS)
            assert answer.status_code == httpx.codes.OK, answer.text
            return time.monotonic() - began

    def remove(self) -> None:
        subprocess.run([ENGINE, "image", "rm", "--force", self.name], check=False, capture_output=True)


class Course:
    """What is measured of one side, a round at a time, so that the sides take turns."""

    def __init__(self, side: Side, folder: Path, models: list[Path]) -> None:
        self.builder = Builder(side, folder)
        self._models = models
        self._made = side.prepare(models[0])
        stand_in(ENGINE, images_of(self._made.dockerfile))
        base = re.findall(r"(?m)^FROM (\S*[:.]\S*)", self._made.dockerfile)[-1]
        self._base = choose(ENGINE).engine.inspect(base).layers
        self.seconds: dict[str, list[float]] = {
            name: [] for name in ("cold", "warm", "code", "model", "start")
        }
        self.facts: dict[str, int] = {}

    def cold(self, number: int) -> None:
        self.seconds["cold"].append(self.builder.build_s(self._made, cold=number))
        if "layers" not in self.facts:
            _, sizes = self.builder.weigh()
            own = [size for digest, size in sizes.items() if digest not in self._base]
            self.facts |= {"layers": len(own), "over_base_bytes": sum(own)}

    def again(self, number: int) -> None:
        """Nothing changed, one line changed, the model changed: what was built last is in the cache."""
        builder, side = self.builder, self.builder.side
        self.seconds["warm"].append(builder.build_s(self._made))
        self.seconds["start"].append(builder.start_s())
        side.edit()
        self._change("code", side.prepare(self._models[number]))
        self._change("model", side.prepare(self._models[number + 1]))

    def _change(self, what: str, made: Context) -> None:
        self.seconds[what].append(self.builder.build_s(made))
        self._made = made
        if f"{what}_bytes" not in self.facts:
            self.facts[f"{what}_bytes"], _ = self.builder.weigh()


def measure(sides: list[Side], folder: Path, models: list[Path], cold_rounds: int) -> dict[str, Any]:
    courses: list[Course] = []
    loads = []
    try:
        for side in sides:
            courses.append(Course(side, folder, models))  # noqa: PERF401 - what is there is removed below
        for number in range(cold_rounds + len(models) - 1):
            for course in courses if number % 2 == 0 else reversed(courses):
                if number < cold_rounds:
                    course.cold(number)
                else:
                    course.again(number - cold_rounds)
            loads.append(os.getloadavg()[0])
            print(f"round {number + 1}, load {loads[-1]:.1f}", file=sys.stderr)
    finally:
        for course in courses:
            course.builder.remove()
    found: dict[str, Any] = {
        course.builder.side.title: {
            **course.facts,
            **{f"{name}_s": each for name, each in course.seconds.items()},
        }
        for course in courses
    }
    return {**found, "load_averages": loads}


def train(folder: Path, count: int) -> list[Path]:
    """Forests of some megabytes."""
    import joblib
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    x, y = make_classification(4000, 20, n_informative=10, random_state=0)
    paths = []
    for seed in range(count):
        paths.append(folder / f"forest{seed}.joblib")
        joblib.dump(RandomForestClassifier(100, random_state=seed).fit(x, y), paths[-1])
    return paths


def median(name: str) -> Callable[[dict[str, Any]], float]:
    return lambda found: statistics.median(found[name])


def megabytes(name: str) -> Callable[[dict[str, Any]], float]:
    return lambda found: float(found[name]) / 1e6


FIGURES = (
    ("image over its base, MB", megabytes("over_base_bytes")),
    ("cold build, s", median("cold_s")),
    ("warm build, s", median("warm_s")),
    ("one line changed: build, s", median("code_s")),
    ("one line changed: sent again, MB", megabytes("code_bytes")),
    ("model changed: build, s", median("model_s")),
    ("model changed: sent again, MB", megabytes("model_bytes")),
    ("start to first answer, s", median("start_s")),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="of warm builds, changes and starts (%(default)s)"
    )
    parser.add_argument("--cold-rounds", type=int, default=3, help="of builds without a cache (%(default)s)")
    arguments = parser.parse_args()
    report = Report("image")
    with tempfile.TemporaryDirectory(prefix="tiffin-bench-image-") as scratch:
        folder = Path(scratch)
        models = train(folder, arguments.rounds + 1)
        here = Path.cwd()
        os.chdir(folder)  # models remember the repository that they were trained in
        sides: list[Side] = [Tiffin(folder), BentoML(folder)]
        try:
            found = measure(sides, folder, models, arguments.cold_rounds)
        except CannotStandInError as error:
            print(f"there are no images to build on: {error}", file=sys.stderr)
            return 1
        finally:
            os.chdir(here)
        found["model_bytes"] = {"model": models[1].stat().st_size}
    report.section(f"Images of a forest of {found['model_bytes']['model'] / 1e6:.1f} MB, by {ENGINE}")
    ours, theirs = (side.title for side in sides)
    loads = ", ".join(f"{load:.1f}" for load in found["load_averages"])
    report.lines(
        [
            f"medians of {arguments.rounds} rounds in turns, {arguments.cold_rounds} of cold builds",
            f"load of the machine at the end of each: {loads}; 2 or more: a noisy run",
        ]
    )
    pairs = [(name, figure(found[ours]), figure(found[theirs])) for name, figure in FIGURES]
    rows = [[name, f"{mine:.2f}", f"{other:.2f}", f"{mine / other:.2f}"] for name, mine, other in pairs]
    report.table(["figure", ours, theirs, f"of {theirs}"], rows)
    worse = [name for name, mine, other in pairs if mine > other]
    small = found[ours]["code_bytes"] < BAR_CODE_BYTES
    report.lines(
        [
            f"bar: less than 1 MB after one line: {'met' if small else 'MISSED'}",
            f"bar: better than {theirs} everywhere: {'MISSED: ' + ', '.join(worse) if worse else 'met'}",
        ]
    )
    report.keep(found)
    return 0 if small and not worse else 1


if __name__ == "__main__":
    sys.exit(main())
