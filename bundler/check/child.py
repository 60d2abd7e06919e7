"""The process in the clean environment: imports the service, and runs what was recorded with its models."""

from __future__ import annotations

import gc
import platform
import sys
from pathlib import Path

import msgspec

from ...errors import TiffinError
from ...runtime.manifest import ApiSpec, ServiceSpec
from ...runtime.model.compare import Tolerance
from ...runtime.model.replay import Replayed, replay
from ...runtime.supervisor.control import Target


class Question(msgspec.Struct, kw_only=True):
    """Comes on stdin, as msgpack."""

    folder: str
    """Of the bundle."""
    source: str
    service: ServiceSpec
    """As it was described when the bundle was built."""
    models: list[str]
    """Folders of its models."""
    answer: str
    """File to write the `Answer` to, as msgpack; stdout belongs to the user's code."""
    rtol: float | None = None
    atol: float | None = None


class Answer(msgspec.Struct, kw_only=True):
    """What came of it."""

    python: str = ""
    schema: list[str] = []
    """Routes that the service describes otherwise here."""
    results: list[Replayed] = []
    untried: list[str] = []
    """Folders of models without a recorded example."""
    error: str = ""
    """Why the service cannot be imported, or a model not be loaded."""


def main() -> None:
    question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    answer = Answer(python=platform.python_version())
    try:
        _check(question, answer)
    except TiffinError as error:
        answer.error = str(error)
    Path(question.answer).write_bytes(msgspec.msgpack.encode(answer))


def _check(question: Question, answer: Answer) -> None:
    from ...runtime.service.load import load_service
    from ...runtime.service.service import service_info

    target = Target(source=question.source, service=question.service.cls, bundle=question.folder)
    here = service_info(load_service(target)).spec()
    answer.schema = changed_routes(question.service.apis, here.apis)
    tolerance = Tolerance(question.rtol, question.atol)
    for model in question.models:
        results = replay(Path(model), tolerance)
        answer.results += results
        if not results:
            answer.untried.append(model)
        gc.collect()  # the next model may need the memory


def changed_routes(built: list[ApiSpec], here: list[ApiSpec]) -> list[str]:
    """Routes whose description depends on the environment."""
    old, new = ({api.route: msgspec.to_builtins(api) for api in apis} for apis in (built, here))
    return sorted(route for route in old.keys() | new.keys() if old.get(route) != new.get(route))


if __name__ == "__main__":
    main()
