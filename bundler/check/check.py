"""Does a bundle work with what its lock names, and give what it gave? Tried in a clean environment."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

import msgspec

from ...errors import BuildError
from ...runtime.manifest import BundleInfo
from ...runtime.model.compare import BY_TYPE, Tolerance
from ...runtime.model.replay import Replayed
from ...runtime.service.load import SOURCE_FOLDER
from ...runtime.tag import Tag
from ..child_process import ask, output_tail
from ..describe import DESCRIBING, here
from ..python.wheel import DISTRIBUTION
from .called import Called
from .child import Answer, Question
from .environment import clean_environment, unpack_runtime
from .hidden import without_secrets
from .kept import kept
from .route_result import RouteResult

TIMEOUT_S = 900.0
# What would let this process's packages, or another bundle, into the clean one.
_NOT_PASSED = ("VIRTUAL_ENV", "TIFFIN_BUNDLE", "TIFFIN_MODEL_DIR", "TIFFIN_HOME")


class Report(msgspec.Struct, kw_only=True):
    """What a check found."""

    python: str
    """Of the clean environment, `3.11.7`."""
    packages: int
    cached: bool
    """Whether the environment was there already."""
    results: list[Replayed] = []
    untried: list[str] = []
    """Models without a recorded example."""
    schema: list[str] = []
    """Routes that the service describes otherwise there."""
    routes: list[RouteResult] = []
    """Each that was called, and those that could not be."""
    error: str = ""
    """Why the service cannot be imported there, or a model not be loaded."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.error and not self.schema and not self.failed

    @property
    def failed(self) -> int:
        """Calls of models and routes that gave something else, or raised."""
        return sum(not one.ok for one in self.results) + sum(not one.ok for one in self.routes)

    def problems(self) -> list[str]:
        """A sentence for each thing that is wrong."""
        found = [self.error] if self.error else []
        found += [
            f"{route}: the service describes it otherwise in the clean environment" for route in self.schema
        ]
        for result in self.results:
            what = f"{result.model} {result.method}()"
            if result.error:
                found.append(f"{what} raises {result.error}")
            found += [f"{what}: {path} {text}" for path, text in result.differences]
        for route in self.routes:
            found += [f"POST {route.route} answers {route.error}"] if route.error else []
            found += [f"POST {route.route}: {path} {text}" for path, text in route.differences]
        return found


def check(
    folder: Path,
    info: BundleInfo,
    *,
    tolerance: Tolerance = BY_TYPE,
    routes: bool = True,
    calls: Sequence[Called] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Report:
    """Makes the environment of the lock, imports the service there, and runs the recorded examples.

    Args:
        folder: of the bundle, or its draft; nothing is written into it.
        info: its manifest.
        tolerance: of floating-point numbers.
        routes: call each route with an example.
        calls: what the routes answered where the bundle was built; None: what its manifest keeps of that.
        on_step: told what is going on.

    Raises:
        BuildError: there is no lock or no uv, the environment cannot be made, or the process ended.
        IntegrityError: what the manifest keeps is damaged.
    """
    before = kept(info) if calls is None else calls
    tell = on_step or _silent
    began = time.monotonic()
    folder = folder.resolve()
    tell("make a clean environment")
    with (
        clean_environment(folder, info.python) as environment,
        tempfile.TemporaryDirectory(prefix="tiffin-check-") as scratch,
    ):
        place = Path(scratch)
        runtime = unpack_runtime(folder, place / "runtime")
        question = _question(folder, info, place)
        question.rtol, question.atol = tolerance
        question.routes, question.calls = routes, [*before]
        tell("try the examples in it")
        answer = _ask(environment.python, _clean(runtime, place), question, place, "in the clean environment")
    models = dict(zip(question.models, info.models, strict=True))
    return Report(
        python=answer.python,
        packages=environment.packages,
        cached=environment.cached,
        results=answer.results,
        untried=[models[path] for path in answer.untried],
        schema=answer.schema,
        routes=[without_secrets(route) for route in answer.routes],
        error=_relative(answer.error, folder, question),
        seconds=round(time.monotonic() - began, 2),
    )


def record(folder: Path, info: BundleInfo, project: Path) -> list[Called]:
    """What the routes answer in this environment, to be compared with others.

    Args:
        folder: of the draft.
        info: its manifest.
        project: where the code comes from, which must not be imported from there.

    Raises:
        BuildError: the service cannot be imported, or its process ended.
    """
    with tempfile.TemporaryDirectory(prefix="tiffin-check-") as scratch:
        place = Path(scratch)
        question = _question(folder.resolve(), info, place)
        question.record = True
        answer = _ask(Path(sys.executable), here(project), question, place, "while its routes were called")
    if answer.error:
        raise BuildError(_relative(answer.error, folder.resolve(), question))
    return answer.calls


def demand(report: Report) -> None:
    """
    Raises:
        BuildError: the check found something; names each.
    """
    if not report.ok:
        lines = "\n".join(f"  {problem}" for problem in report.problems())
        raise BuildError(f"the bundle does not do in a clean environment what it did here:\n{lines}")


def _question(folder: Path, info: BundleInfo, place: Path) -> Question:
    """The code is copied, because what a route writes beside it would damage the bundle."""
    source = place / SOURCE_FOLDER
    shutil.copytree(folder / SOURCE_FOLDER, source)
    return Question(
        folder=str(folder),
        source=str(source),
        service=info.service,
        models=[str(_model_folder(folder, tag)) for tag in info.models],
        answer=str(place / "answer"),
    )


def _clean(runtime: Path, place: Path) -> dict[str, str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name not in _NOT_PASSED
    }
    environment |= {"PYTHONPATH": str(runtime), "PYTHONNOUSERSITE": "1"}
    environment["TIFFIN_HOME"] = str(place / "home")  # empty: a bundle brings its own models
    return environment


def _ask(python: Path, environment: Mapping[str, str], question: Question, place: Path, when: str) -> Answer:
    work = place / "work"
    work.mkdir()
    own = {DESCRIBING: "1", "PYTHONUNBUFFERED": "1"}  # what it printed last is wanted most
    own["CUDA_VISIBLE_DEVICES"] = ""
    command = (python, "-B", "-m", f"{DISTRIBUTION}.bundler.check.child")
    try:
        reply = ask(
            command, question, Answer, cwd=work, environment={**environment, **own}, timeout_s=TIMEOUT_S
        )
    except TimeoutExpired as error:
        raise BuildError(
            f"the check took more than {TIMEOUT_S:.0f} s {when}{output_tail(error.output)}"
        ) from error
    if reply.answer is None:
        raise BuildError(f"the check ended {when} ({reply.status}):{reply.tail}")
    return reply.answer


def _relative(text: str, folder: Path, question: Question) -> str:
    """Without the places where a check happened to be."""
    return text.replace(f"{question.source}/", "").replace(f"{folder}/", "")


def _model_folder(folder: Path, text: str) -> Path:
    tag = Tag.parse(text)
    return folder / "models" / tag.name / tag.version


def _silent(step: str) -> None:
    """Nobody asked."""
