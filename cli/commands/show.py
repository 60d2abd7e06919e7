"""`bundle show`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...errors import IntegrityError
from .. import console
from ..mending import damage_hinted
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
@click.option("--diff", is_flag=True, help="Print the uncommitted changes that it was built with.")
@click.option("--json", "as_json", is_flag=True, help="Print all of the manifest, or of the plan, as JSON.")
@damage_hinted()
def command(
    tag: str,
    *,
    plan: bool,
    workers: tuple[tuple[str, int | str | WorkerRange], ...],
    processes: int | str | None,
    diff: bool,
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
    if diff:
        from ..provenance_view import diff_text

        console.say(diff_text(bundle.info.provenance))
        return
    if as_json:
        _emit(bundle)
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

    _tell_models(bundle)


def _emit(bundle: Bundle) -> None:
    """The manifest, those of its models, its packages, and who signed it."""
    import msgspec

    from ...bundler.diff.bundles import models_of, packages_of
    from ...runtime.signatures import read_signatures
    from ..bundle_facts import facts

    console.emit_json(
        {
            **msgspec.to_builtins(bundle.info),
            **facts(bundle),
            "model_manifests": models_of(bundle),
            "packages": packages_of(bundle),
            "signatures": read_signatures(bundle.path),
        }
    )


def _tell_models(bundle: Bundle) -> None:
    from ...bundler.diff.bundles import models_of
    from ...bundler.diff.models import metrics_of
    from ...bundler.words import size_words

    if not bundle.info.models:
        return
    rows = []
    for model in models_of(bundle):
        numbers = ", ".join(f"{name} {value}" for name, value in metrics_of(model).items())
        parent = (model.provenance.get("parent") or {}).get("tag", "")
        tried = ", ".join(entry.path.rpartition("/")[2].partition(".")[0] for entry in model.examples)
        size = size_words(model.size_bytes)
        rows.append((f"{model.name}:{model.version}", model.framework, size, numbers, parent, tried))
    console.say("")
    console.table(["model", "framework", "size>", "metrics", "parent", "recorded examples"], rows)


def _methods(runner: RunnerSpec) -> Iterator[tuple[object, ...]]:
    """A line a method, because each may have its own batch size; the runner's own facts on the first."""
    from ...bundler.words import batch_words
    from ...runtime.service.workers import workers_words

    head: tuple[object, ...] = (runner.name, runner.model or runner.cls, workers_words(runner.workers))
    for name, method in runner.methods.items():
        yield (*head, name, batch_words(runner, method))
        head = ("", "", "")


def _facts(bundle: Bundle) -> list[tuple[str, object]]:
    from ...bundler.words import (
        NOTES,
        checked_words,
        grpc_words,
        requirements_words,
        size_words,
        time_words,
    )
    from ..provenance_view import provenance_rows

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
        ("checked", checked_words(info)),
        ("packages", _packages(bundle)),
        ("image", _image(info)),
        ("typed gRPC", grpc_words(info)),
        *provenance_rows(info.provenance),
        *(("note", note) for note in info.options.get(NOTES, [])),
        ("signed by", _signers(bundle)),
        ("path", bundle.path),
    ]


def _files(info: BundleInfo) -> str:
    sources = sum(file.path.startswith("src/") for file in info.files)
    models = sum(file.path.startswith("models/") for file in info.files)
    return f"{len(info.files)} ({sources} source, {models} of models)"


def _packages(bundle: Bundle) -> str:
    from ...bundler.diff.bundles import packages_of

    return ", ".join(f"{len(packages)} in {name}" for name, packages in packages_of(bundle).items())


def _image(info: BundleInfo) -> str:
    """Key `image:` of the bundlefile, where it says anything."""
    import msgspec

    from ...bundler.diff.change import flat, words

    plain = flat(msgspec.to_builtins(info.image))
    return ", ".join(f"{name} {words(value)}" for name, value in plain.items())


def _signers(bundle: Bundle) -> str:
    """As they say; nothing is checked here."""
    from ...runtime.signatures import key_name, read_signatures

    try:
        names = [key_name(one.key) for one in read_signatures(bundle.path)]
    except IntegrityError as error:
        return str(error)
    return f"{', '.join(names)} (they say; bundle verify --key checks)" if names else ""


def _inputs(api: ApiSpec) -> str:
    from ...bundler.words import type_words

    return ", ".join(f"{name}: {type_words(spec)}" for name, spec in api.inputs.items())


def _output(api: ApiSpec) -> str:
    from ...bundler.words import type_words

    return f"stream of {type_words(api.output)}" if api.stream else type_words(api.output)
