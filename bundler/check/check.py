"""Does a bundle work with what its lock names, and give what it gave? Tried in a clean environment."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ...errors import BuildError
from ...runtime.manifest import BundleInfo
from ...runtime.model.compare import BY_TYPE, Tolerance
from ...runtime.model.replay import Replayed
from ...runtime.service.load import SOURCE_FOLDER
from ...runtime.tag import Tag
from ..describe import DESCRIBING
from ..python.wheel import DISTRIBUTION
from .child import Answer, Question
from .environment import clean_environment, unpack_runtime

TIMEOUT_S = 900.0
_OUTPUT_LINES = 20
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
    error: str = ""
    """Why the service cannot be imported there, or a model not be loaded."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.error and not self.schema and all(result.ok for result in self.results)

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
        return found


def check(
    folder: Path,
    info: BundleInfo,
    *,
    tolerance: Tolerance = BY_TYPE,
    on_step: Callable[[str], None] | None = None,
) -> Report:
    """Makes the environment of the lock, imports the service there, and runs the recorded examples.

    Args:
        folder: of the bundle, or its draft; nothing is written into it.
        info: its manifest.
        tolerance: of floating-point numbers.
        on_step: told what is going on.

    Raises:
        BuildError: there is no lock or no uv, the environment cannot be made, or the process ended.
    """
    tell = on_step or _silent
    began = time.monotonic()
    folder = folder.resolve()
    models = {str(_model_folder(folder, tag)): tag for tag in info.models}
    tell("make a clean environment")
    with (
        clean_environment(folder, info.python) as environment,
        tempfile.TemporaryDirectory(prefix="tiffin-check-") as scratch,
    ):
        place = Path(scratch)
        runtime = unpack_runtime(folder, place / "runtime")
        question = Question(
            folder=str(folder),
            source=str(folder / SOURCE_FOLDER),
            service=info.service,
            models=list(models),
            answer=str(place / "answer"),
            rtol=tolerance.rtol,
            atol=tolerance.atol,
        )
        tell("try the examples in it")
        answer = _ask(environment.python, runtime, question, place)
    return Report(
        python=answer.python,
        packages=environment.packages,
        cached=environment.cached,
        results=answer.results,
        untried=[models[path] for path in answer.untried],
        schema=answer.schema,
        error=answer.error.replace(f"{folder}/", ""),
        seconds=round(time.monotonic() - began, 2),
    )


def demand(report: Report) -> None:
    """
    Raises:
        BuildError: the check found something; names each.
    """
    if not report.ok:
        lines = "\n".join(f"  {problem}" for problem in report.problems())
        raise BuildError(f"the bundle does not do in a clean environment what it did here:\n{lines}")


def _ask(python: Path, runtime: Path, question: Question, place: Path) -> Answer:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name not in _NOT_PASSED
    }
    environment |= {DESCRIBING: "1", "PYTHONPATH": str(runtime), "PYTHONNOUSERSITE": "1"}
    environment["PYTHONUNBUFFERED"] = "1"  # what it printed last is wanted most
    environment["TIFFIN_HOME"] = str(place / "home")  # empty: a bundle brings its own models
    work = place / "work"
    work.mkdir()
    try:
        done = subprocess.run(
            [str(python), "-B", "-m", f"{DISTRIBUTION}.bundler.check.child"],
            cwd=work,
            env=environment,
            input=msgspec.msgpack.encode(question),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"the check took more than {TIMEOUT_S:.0f} s") from error
    answer = Path(question.answer)
    if not answer.exists():
        lines = done.stdout.decode(errors="replace").strip().splitlines()[-_OUTPUT_LINES:]
        status = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        printed = "".join(f"\n  {line}" for line in lines)
        raise BuildError(f"the check ended in the clean environment ({status}):{printed}")
    return msgspec.msgpack.decode(answer.read_bytes(), type=Answer)


def _model_folder(folder: Path, text: str) -> Path:
    tag = Tag.parse(text)
    return folder / "models" / tag.name / tag.version


def _silent(step: str) -> None:
    """Nobody asked."""
