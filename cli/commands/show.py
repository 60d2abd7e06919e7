"""`bundle show`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .. import console
from ..runner_number import NumberOrAuto, RunnerNumber, one_each
from ..tags import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...bundler.bundles import Bundle
    from ...runtime.manifest import ApiSpec, BundleInfo, RunnerSpec, WorkerRange


@click.command(
    epilog="With --plan, TAG may also be a folder (default: this one), service.py:Class or module:Class.",
)
@click.argument("tag", default="", type=Target(bundles=True), metavar="TAG")
@click.option(
    "--plan", is_flag=True, help="Show what bundle serve would start here: workers, cores, GPUs, memory."
)
@click.option(
    "--workers", type=RunnerNumber(), multiple=True, help="With --plan: as for bundle serve. Repeatable."
)
@click.option("--processes", type=NumberOrAuto(), help="With --plan: as for bundle serve.")
@click.option("--json", "as_json", is_flag=True, help="Print all of the manifest, or of the plan, as JSON.")
def command(
    tag: str,
    plan: bool,
    workers: tuple[tuple[str, int | str | WorkerRange], ...],
    processes: int | str | None,
    as_json: bool,
) -> None:
    """Show what a bundle holds: routes, runners, models, files, and where it was made."""
    if plan:
        from ..plan_view import show

        show(tag or ".", workers=one_each(workers), processes=processes, as_json=as_json)
        return
    if not tag:
        raise click.UsageError("name a bundle: bundle show iris:latest; bundle list tells which there are")
    if workers or processes is not None:
        raise click.UsageError("--workers and --processes belong to --plan")
    from ...bundler import bundles

    bundle = bundles.get(tag)
    if as_json:
        import msgspec

        from ..bundle_facts import facts

        console.emit_json({**msgspec.to_builtins(bundle.info), **facts(bundle)})
        return
    console.panel(str(bundle.tag), _facts(bundle))
    console.say("")
    console.table(
        ["route", "inputs", "output"],
        [(f"POST {api.route}", _inputs(api), _output(api)) for api in bundle.info.service.apis],
    )
    if bundle.info.service.runners:
        console.say("")
        console.table(
            ["runner", "runs", "workers>", "method", "a batch, at most"],
            [row for runner in bundle.info.service.runners for row in _methods(runner)],
        )


def _methods(runner: RunnerSpec) -> Iterator[tuple[object, ...]]:
    """A line a method, because each may have its own batch size; the runner's own facts on the first."""
    from ...bundler.words import batch_words
    from ...runtime.service.workers import workers_words

    head: tuple[object, ...] = (runner.name, runner.model or runner.cls, workers_words(runner.workers))
    for name, method in runner.methods.items():
        yield (*head, name, batch_words(runner, method))
        head = ("", "", "")


def _facts(bundle: Bundle) -> list[tuple[str, object]]:
    from ...bundler.words import grpc_words, requirements_words, size_words, time_words

    info = bundle.info
    return [
        ("description", info.description or info.service.doc.partition("\n")[0]),
        ("digest", info.digest),
        ("created", f"{time_words(info.created)} UTC"),
        ("size", size_words(info.size_bytes)),
        ("files", _files(info)),
        ("service", info.service.cls),
        (
            "models",
            ", ".join(f"{tag} (pickle)" if tag in info.pickled else tag for tag in info.models) or "none",
        ),
        ("labels", ", ".join(f"{key}={value}" for key, value in info.labels.items())),
        ("python", f"{info.python} on {info.platform}"),
        ("requirements", requirements_words(info)),
        ("typed gRPC", grpc_words(info)),
        ("made on", info.provenance.get("host")),
        ("git", _git(info.provenance.get("git"))),
        ("path", bundle.path),
    ]


def _files(info: BundleInfo) -> str:
    sources = sum(file.path.startswith("src/") for file in info.files)
    models = sum(file.path.startswith("models/") for file in info.files)
    return f"{len(info.files)} ({sources} source, {models} of models)"


def _git(git: Any) -> str:
    if not isinstance(git, dict):
        return ""
    return f"{git.get('commit', '')}{' with uncommitted changes' if git.get('dirty') else ''}"


def _inputs(api: ApiSpec) -> str:
    from ...bundler.words import type_words

    return ", ".join(f"{name}: {type_words(spec)}" for name, spec in api.inputs.items())


def _output(api: ApiSpec) -> str:
    from ...bundler.words import type_words

    return f"stream of {type_words(api.output)}" if api.stream else type_words(api.output)
