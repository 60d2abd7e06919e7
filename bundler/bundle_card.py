"""A bundle as HTML: its routes and runners, how large it is, what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.card import Table, card
from ..runtime.service.workers import workers_words
from ..runtime.words import batch_words, digest_words, size_words, time_words, type_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..runtime.manifest import ApiSpec, RunnerSpec
    from .bundles import Bundle


def bundle_card(bundle: Bundle) -> str:
    info, tag = bundle.info, bundle.tag
    routes = Table(["route", "inputs", "output"], [_route(api) for api in info.service.apis])
    runners = Table(
        ["runner", "runs", "workers>", "method", "a batch, at most"],
        [row for runner in info.service.runners for row in _methods(runner)],
    )
    facts = [
        ("about", info.description or info.service.doc.partition("\n")[0]),
        ("size", size_words(info.size_bytes)),
        ("digest", digest_words(info.digest)),
        ("created", f"{time_words(info.created)} UTC, Python {info.python}"),
        (
            "models",
            ", ".join(f"{model} (pickle)" if model in info.pickled else model for model in info.models),
        ),
        ("path", bundle.path),
    ]
    steps = [f"%bundle {verb} {tag}" for verb in ("serve", "show", "containerize")]
    return card(f"Bundle {tag}", facts, [routes, runners], steps)


def _route(api: ApiSpec) -> tuple[str, str, str]:
    inputs = ", ".join(f"{name}: {type_words(spec)}" for name, spec in api.inputs.items())
    output = type_words(api.output)
    return f"POST {api.route}", inputs, f"stream of {output}" if api.stream else output


def _methods(runner: RunnerSpec) -> Iterator[tuple[str, ...]]:
    head = (runner.name, runner.model or runner.cls, workers_words(runner.workers))
    for name, method in runner.methods.items():
        yield (*head, name, batch_words(runner, method))
        head = ("", "", "")
