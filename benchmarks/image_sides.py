"""The two sides of `image.py`: the same service, each packed as its own tool does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from environment import Environment

import tiffin
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.image.context import contents
from tiffin.bundler.image.dockerfile import render
from tiffin.bundler.image.plan import image_plan
from tiffin.bundler.image.staging import staged

ENGINE = "docker"
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
    folder: Callable[[str], AbstractContextManager[Path | None]]
    """As the side's own tool gives it to the engine, with this text in place of the Dockerfile."""
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
        plan = image_plan(bundle, link=engine.link, arranged=engine.arranged)
        text = render(plan)

        def folder(dockerfile: str) -> AbstractContextManager[Path | None]:
            members = contents(bundle, dockerfile=dockerfile, layers=plan.layers)
            return staged(bundle, members, "forest", lambda *_: None)

        return Context(text, folder, dict(plan.build_args))

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

        @contextmanager
        def folder(dockerfile: str) -> Iterator[Path | None]:
            """A copy in a new temporary folder for each build, as `construct_containerfile` makes it."""
            with tempfile.TemporaryDirectory() as made:
                shutil.copytree(target, made, dirs_exist_ok=True)
                Path(made, "Dockerfile").write_text(dockerfile)
                yield Path(made)

        return Context((target / "Dockerfile").read_text(), folder)

    def edit(self) -> None:
        with (self.project / "service.py").open("a") as file:
            file.write("\n# One line more.\n")
