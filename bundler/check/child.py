"""The process that tries a bundle: imports the service, and makes the calls that were recorded."""

from __future__ import annotations

import gc
import platform
from pathlib import Path

import msgspec

from ...errors import TiffinError
from ...runtime.manifest import ApiSpec, ServiceSpec
from ...runtime.model.compare import Tolerance
from ...runtime.model.recorded import Recorded, read_examples
from ...runtime.model.replay import Replayed, replay
from ...runtime.service.service import ServiceInfo
from ...runtime.supervisor.control import Target
from ..child_process import put_answer, read_question
from .called import Called
from .route_result import RouteResult, route_result


class Question(msgspec.Struct, kw_only=True):
    """Comes on stdin, as msgpack."""

    folder: str
    """Of the bundle."""
    source: str
    """Of its code; a copy, because routes may write beside it."""
    service: ServiceSpec
    """As it was described when the bundle was built."""
    models: list[str]
    """Folders of its models."""
    answer: str
    """File to write the `Answer` to, as msgpack; stdout belongs to the user's code."""
    rtol: float | None = None
    atol: float | None = None
    record: bool = False
    """Only call the routes, to learn what they answer here."""
    routes: bool = True
    """Whether routes are called."""
    calls: list[Called] = []
    """What they answered where the bundle was built; none: nobody called them."""


class Answer(msgspec.Struct, kw_only=True):
    """What came of it."""

    python: str = ""
    schema: list[str] = []
    """Routes that the service describes otherwise here."""
    results: list[Replayed] = []
    untried: list[str] = []
    """Folders of models without a recorded example."""
    routes: list[RouteResult] = []
    calls: list[Called] = []
    """With `record`."""
    error: str = ""
    """Why the service cannot be imported, or a model not be loaded."""


def main() -> None:
    question = read_question(Question)
    answer = Answer(python=platform.python_version())
    try:
        info = _service(question)
        if question.record:
            answer.calls = _calls(question, info)
        else:
            _check(question, info, answer)
    except TiffinError as error:
        answer.error = str(error)
    put_answer(question.answer, answer)


def _service(question: Question) -> ServiceInfo:
    from ...runtime.service.load import load_service
    from ...runtime.service.service import service_info

    target = Target(source=question.source, service=question.service.cls, bundle=question.folder)
    return service_info(load_service(target))


def _check(question: Question, info: ServiceInfo, answer: Answer) -> None:
    answer.schema = changed_routes(question.service.apis, info.spec().apis)
    tolerance = Tolerance(question.rtol, question.atol)
    for model in question.models:
        results = replay(Path(model), tolerance)
        answer.results += results
        if not results:
            answer.untried.append(model)
        gc.collect()  # the next model may need the memory
    if question.routes:
        before = {call.route: call for call in question.calls}
        built = {api.route: api for api in question.service.apis}
        answer.routes = [
            route_result(before.get(call.route), call, built[call.route], tolerance)
            for call in _calls(question, info)
            if call.route in built and call.route not in answer.schema
        ]


def _calls(question: Question, info: ServiceInfo) -> list[Called]:
    from .routes import call_routes

    requests = {call.route: call.request for call in question.calls}
    return call_routes(info, requests, _examples(question.models), twice=question.record)


def _examples(models: list[str]) -> list[Recorded]:
    from ...runtime.model.model import read_info

    folders = [Path(model) for model in models]
    return [call for folder in folders for call in read_examples(folder, read_info(folder)).values()]


def changed_routes(built: list[ApiSpec], here: list[ApiSpec]) -> list[str]:
    """Routes whose description depends on the environment."""
    old, new = ({api.route: msgspec.to_builtins(api) for api in apis} for apis in (built, here))
    return sorted(route for route in old.keys() | new.keys() if old.get(route) != new.get(route))


if __name__ == "__main__":
    main()
