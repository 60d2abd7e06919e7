"""Container images of one model: how large, how quickly built, how much is sent again after a change.

    make bench-image

Both sides serve the same scikit-learn forest on the same base and are built by the same engine, from what
each one's own generator writes. `cold`: neither a step nor a package is in any cache; `warm`: nothing has
changed. What is sent again are the layers, unpacked, that the image before did not have. The bar: less than
1 MB after a change of one line, and better than BentoML on every figure.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from boxes import Box
from environment import Environment
from layers import Saved
from report import Report
from stand_ins import CannotStandInError, images_of, stand_in

import tiffin
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.engine import BuildRequest
from tiffin.bundler.image.context import context
from tiffin.bundler.image.dockerfile import render
from tiffin.bundler.image.plan import image_plan

ENGINE = "docker"
STARTS = 3
BAR_CODE_BYTES = 1_000_000
ROWS = {"rows": [[0.1] * 20]}
TIFFIN_SERVICE = """
import numpy as np
from jaxtyping import Float64

import tiffin


@tiffin.service
class Forest:
    forest = tiffin.runner("forest:latest")

    @tiffin.api
    async def classify(self, rows: Float64[np.ndarray, "n 20"]) -> list[int]:
        return (await self.forest.predict(rows)).tolist()
"""
BENTOML_SERVICE = """
import bentoml
import joblib
import numpy as np


@bentoml.service(
    image=bentoml.images.Image(python_version="3.11").python_packages("scikit-learn=={version}", "joblib"),
    workers=1,
)
class Forest:
    ref = bentoml.models.BentoModel("forest:latest")

    def __init__(self) -> None:
        self.model = joblib.load(self.ref.path_of("model.joblib"))

    @bentoml.api(batchable=True)
    def classify(self, rows: np.ndarray) -> list:
        return self.model.predict(rows).tolist()
"""


@dataclass
class Context:
    """What a build is made from."""

    dockerfile: str
    stream: Callable[[], Iterator[bytes]]
    build_args: dict[str, str] = field(default_factory=dict)


class Side(Protocol):
    title: str
    cache: str
    """Regular expression of the beginning of a cache mount in its Dockerfile; group 1: the cache's id."""

    def prepare(self, model: Path) -> Context:
        """Packs the service as it is now, with this model."""

    def edit(self) -> None:
        """Adds a line to the service's code."""


class Tiffin:
    title = "tiffin"
    cache = r"--mount=type=cache,id=([\w-]+)"

    def __init__(self, folder: Path) -> None:
        self.project = folder / "tiffin"
        self.project.mkdir()
        (self.project / "service.py").write_text(TIFFIN_SERVICE)
        (self.project / "bundlefile.yaml").write_text("name: forest\n")
        os.environ["TIFFIN_HOME"] = str(folder / "home")
        self._saved: Path | None = None

    def prepare(self, model: Path) -> Context:
        if model != self._saved:
            import joblib

            tiffin.models.save("forest", joblib.load(model))
            self._saved = model
        bundle = tiffin.build(self.project, lock=True)
        engine = choose(ENGINE).engine
        plan = image_plan(bundle, link=engine.link, streamed=engine.streamed)
        text = render(plan)
        return Context(
            text,
            lambda: context(bundle, dockerfile=text, layers=plan.layers),
            dict(plan.build_args),
        )

    def edit(self) -> None:
        with (self.project / "service.py").open("a") as file:
            file.write("\n# One line more.\n")


class BentoML:
    title = "BentoML"
    cache = r"--mount=type=cache,()sharing=locked,target=/root/.cache/"

    def __init__(self, folder: Path) -> None:
        import sklearn

        self.here = Path(__file__).parent / "peers" / "bentoml"
        self.environment = Environment(self.here)
        self.environment.make()
        self.title = f"BentoML {self.environment.version('bentoml')}"
        self.folder = folder
        self.project = folder / "bentoml"
        self.project.mkdir()
        (self.project / "service.py").write_text(BENTOML_SERVICE.replace("{version}", sklearn.__version__))

    def prepare(self, model: Path) -> Context:
        target = self.folder / f"bento-{uuid.uuid4().hex}"
        environment = {**os.environ, "BENTOML_HOME": str(self.folder / "bentos"), "BENTOML_DO_NOT_TRACK": "1"}
        command = [self.environment.python, self.here / "context.py", self.project, model, target]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        return Context((target / "Dockerfile").read_text(), lambda: packed(target))

    def edit(self) -> None:
        with (self.project / "service.py").open("a") as file:
            file.write("\n# One line more.\n")


def silent(text: str, done: int, total: int) -> None:
    """Nobody looks."""


def packed(folder: Path) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(folder, ".")
        file.seek(0)
        while block := file.read(1 << 20):
            yield block


class Builder:
    """Builds images of one side and weighs them."""

    def __init__(self, side: Side, folder: Path, mark: str) -> None:
        self.side = side
        self.name = f"tiffin-bench/{type(side).__name__.lower()}:{mark}"
        self._folder = folder
        self._cache = f"tiffin-bench-{mark}"
        self._engine = choose(ENGINE).engine
        self._sizes: dict[str, int] = {}

    def build(self, made: Context, *, cold: bool = False) -> tuple[float, int, dict[str, int]]:
        """Seconds, bytes of layers that the image before did not have, and all layers."""
        text = re.sub(self.side.cache, self._own_cache, made.dockerfile)
        assert text != made.dockerfile, "its cache mount was not found"
        request = BuildRequest(
            dockerfile=text,
            folder=self._folder,
            context=lambda: beside(made, text),
            dockerfile_path="Dockerfile.bench",
            tags=[self.name],
            build_args=made.build_args,
            network="host",
            no_cache=cold,
        )
        began = time.monotonic()
        self._engine.build(request, silent)
        seconds = time.monotonic() - began
        sizes = self._layers()
        new = sum(size for digest, size in sizes.items() if digest not in self._sizes)
        self._sizes = sizes
        return seconds, new, sizes

    def _own_cache(self, found: re.Match[str]) -> str:
        """Each run of the benchmark begins with empty caches of packages."""
        if found[1]:
            return found[0].replace(found[1], f"{found[1]}-{self._cache}")
        return found[0].replace("type=cache,", f"type=cache,id={self._cache},")

    def _layers(self) -> dict[str, int]:
        path = self._folder / "saved.tar"
        self._engine.save(self.name, path, silent)
        saved = Saved(path)
        sizes = saved.sizes()
        saved.close()
        path.unlink()
        return sizes

    def start_s(self) -> float:
        """From `docker run` to the first answer of the model."""
        began = time.monotonic()
        with Box(ENGINE, self.name) as box:
            box.wait_until_ready()
            answer = box.post("/classify", ROWS)
            assert answer.status_code == httpx.codes.OK, answer.text
            return time.monotonic() - began


def beside(made: Context, dockerfile: str) -> Iterator[bytes]:
    """The same context, after the Dockerfile with other cache mounts."""
    data = dockerfile.encode()
    info = tarfile.TarInfo("Dockerfile.bench")
    info.size = len(data)
    yield info.tobuf() + data + bytes(-len(data) % tarfile.BLOCKSIZE)
    yield from made.stream()


def measure(side: Side, folder: Path, models: list[Path]) -> dict[str, Any]:
    builder = Builder(side, folder, uuid.uuid4().hex[:8])
    made = side.prepare(models[0])
    stand_in(ENGINE, images_of(made.dockerfile))
    base = choose(ENGINE).engine.inspect(re.findall(r"(?m)^FROM (\S*[:.]\S*)", made.dockerfile)[-1])
    try:
        cold_s, _, sizes = builder.build(made, cold=True)
        warm_s, warm_bytes, _ = builder.build(made)
        starts_s = [builder.start_s() for _ in range(STARTS)]
        side.edit()
        code_s, code_bytes, _ = builder.build(side.prepare(models[0]))
        model_s, model_bytes, _ = builder.build(side.prepare(models[1]))
    finally:
        subprocess.run([ENGINE, "image", "rm", "--force", builder.name], check=False, capture_output=True)
    return {
        "load_average": os.getloadavg()[0],
        "over_base_bytes": sum(sizes.values())
        - sum(size for digest, size in sizes.items() if digest in base.layers),
        "layers": len(sizes) - len(base.layers),
        "cold_s": cold_s,
        "warm_s": warm_s,
        "warm_bytes": warm_bytes,
        "code_s": code_s,
        "code_bytes": code_bytes,
        "model_s": model_s,
        "model_bytes": model_bytes,
        "start_s": starts_s,
    }


def train(folder: Path) -> list[Path]:
    """Two forests of some megabytes."""
    import joblib
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    x, y = make_classification(4000, 20, n_informative=10, random_state=0)
    paths = []
    for seed in range(2):
        paths.append(folder / f"forest{seed}.joblib")
        joblib.dump(RandomForestClassifier(100, random_state=seed).fit(x, y), paths[-1])
    return paths


FIGURES = (
    ("image over its base, MB", lambda found: found["over_base_bytes"] / 1e6),
    ("cold build, s", lambda found: found["cold_s"]),
    ("warm build, s", lambda found: found["warm_s"]),
    ("one line changed: build, s", lambda found: found["code_s"]),
    ("one line changed: sent again, MB", lambda found: found["code_bytes"] / 1e6),
    ("model changed: build, s", lambda found: found["model_s"]),
    ("model changed: sent again, MB", lambda found: found["model_bytes"] / 1e6),
    ("start to first answer, s", lambda found: statistics.median(found["start_s"])),
)


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    report = Report("image")
    with tempfile.TemporaryDirectory(prefix="tiffin-bench-image-") as scratch:
        folder = Path(scratch)
        models = train(folder)
        sides: list[Side] = [Tiffin(folder), BentoML(folder)]
        try:
            found = {side.title: measure(side, folder, models) for side in sides}
        except CannotStandInError as error:
            print(f"there are no images to build on: {error}", file=sys.stderr)
            return 1
        found["model_bytes"] = {"model": models[1].stat().st_size}
    report.section(f"Images of a forest of {found['model_bytes']['model'] / 1e6:.1f} MB, by {ENGINE}")
    titles = [side.title for side in sides]
    loads = [f"{found[title]['load_average']:.1f}" for title in titles]
    report.lines([f"load of the machine at the end of each: {', '.join(loads)}; 2 or more: a noisy run"])
    rows = [[name, *(f"{figure(found[title]):.2f}" for title in titles)] for name, figure in FIGURES]
    report.table(["figure", *titles], rows)
    better = [figure(found[titles[0]]) <= figure(found[titles[1]]) for _, figure in FIGURES]
    worse = [name for (name, _), good in zip(FIGURES, better, strict=True) if not good]
    small = found[titles[0]]["code_bytes"] < BAR_CODE_BYTES
    report.lines(
        [
            f"bar: less than 1 MB after one line: {'met' if small else 'MISSED'}",
            f"bar: better than {titles[1]} everywhere: {'MISSED: ' + ', '.join(worse) if worse else 'met'}",
        ]
    )
    report.keep(found)
    return 0 if small and not worse else 1


if __name__ == "__main__":
    sys.exit(main())
