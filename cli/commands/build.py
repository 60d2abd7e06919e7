"""`bundle build`"""

from __future__ import annotations

import re
from pathlib import Path

import click

from .. import console
from ..mending import project_hinted
from ..model_file_options import model_file_options, task_option
from ..offered import offered_platforms
from ..tags import Target

_PATH_LIKE = re.compile(r"[^:@]*(?:/|\.[a-z0-9]{2,8}$)[^:@]*")
"""`data/train.csv`, and not `s3://…`, `dvc:abc123`, `iris@2`."""


@click.command()
@click.argument("target", default=".", type=Target(bundles=False))
@click.option("--name", help="Name of the bundle  [the bundlefile's, else the service's]")
@click.option("--version", "version", help="Version of your own making  [one that sorts after every other]")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Add a label; may be repeated.")
@click.option(
    "--lock/--no-lock",
    default=None,
    help="Demand, or skip, versions and hashes of the requirements  [skip only without uv or a network]",
)
@click.option("--python", default="", metavar="3.12", help="Python that images will have  [this one]")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="linux/arm64",
    shell_complete=offered_platforms(),
    help="Lock for images of this platform, besides this machine's; may be repeated.  [the bundlefile's]",
)
@model_file_options
@task_option
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=REFERENCE",
    help="Note what belongs to it: s3://bucket/train.parquet, or a file, which is hashed; may be repeated.",
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="Note a number; may be repeated."
)
@click.option(
    "--no-provenance", is_flag=True, help="Do not note who, where and git (also TIFFIN_NO_PROVENANCE=1)."
)
@click.option(
    "--check",
    is_flag=True,
    help="Keep it only when models and routes give the same in a clean environment.",
)
@click.option(
    "--no-routes",
    is_flag=True,
    help="Let --check call no routes: they would write to a database, or ask others.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    target: str,
    *,
    name: str | None,
    version: str | None,
    labels: tuple[str, ...],
    lock: bool | None,
    python: str,
    platforms: tuple[str, ...],
    inputs: tuple[str, ...],
    classes: tuple[str, ...],
    task: str,
    data: tuple[str, ...],
    metrics: tuple[str, ...],
    no_provenance: bool,
    check: bool,
    no_routes: bool,
    as_json: bool,
) -> None:
    """Make a bundle: service, models and dependencies, one version.

    TARGET is a folder with bundlefile.yaml, [tool.tiffin] or service.py (default: this one),
    service.py:Class, module:Class, a notebook, or a model file: model.joblib, model.onnx, a folder of them …
    """
    from ...bundler.build import build
    from ...bundler.model_files.wishes import FileOptions

    parsed = dict(_label(text) for text in labels)
    with project_hinted(target), console.progress("look for files", quiet=as_json) as progress:

        def show(step: str, done: int, total: int) -> None:
            progress.update(step, done=done, total=total or None)

        made = build(
            target,
            name=name,
            version=version,
            labels=parsed,
            lock=lock,
            python=python,
            platforms=platforms,
            files=FileOptions(inputs=inputs, classes=classes, task=task, apart=True),
            data=_references(data),
            metrics=dict(_metric(text) for text in metrics),
            provenance=not no_provenance,
            check=check,
            routes=not no_routes,
            on_progress=show,
        )
    locked = bool(made.info.options.get("locked"))
    reason = str(made.info.options.get("unlocked_because", ""))
    if as_json:
        from ...bundler.words import NOTES, REQUIREMENTS_FROM, UNTYPED
        from ..bundle_facts import facts

        why: dict[str, object] = {} if locked else {"unlocked_because": reason}
        if UNTYPED in made.info.options:
            why[UNTYPED] = made.info.options[UNTYPED]
        notes = made.info.options.get(NOTES, [])
        told = {"requirements_from": made.info.options.get(REQUIREMENTS_FROM, ""), "notes": notes}
        console.emit_json({**facts(made), "locked": locked, **told, **why})
        return
    from ...bundler.image.plan import platforms_of
    from ...bundler.model_files.load import told_before
    from ...bundler.words import (
        NOT_ASKED,
        NOTES,
        checked_words,
        digest_words,
        grpc_words,
        requirements_words,
        size_words,
    )

    sources = sum(file.path.startswith("src/") for file in made.info.files)
    console.panel(
        f"Built {made.tag}",
        [
            ("digest", digest_words(made.info.digest)),
            ("size", size_words(made.info.size_bytes)),
            ("service", f"{made.info.service.cls}, {console.counted(len(made.info.service.apis), 'route')}"),
            ("source", console.counted(sources, "file")),
            ("models", ", ".join(made.info.models) or "none"),
            ("python", made.info.python),
            ("requirements", requirements_words(made.info)),
            ("platforms", ", ".join(platforms_of(made.info)) if locked else ""),
            ("checked", checked_words(made.info)),
            ("typed gRPC", grpc_words(made.info)),
            ("path", made.path),
            *(("note", note) for note in made.info.options.get(NOTES, []) if not told_before(note)),
        ],
        [
            f"bundle serve {made.tag}",
            f"bundle show {made.tag}",
            f"bundle export {made.tag}",
            f"bundle containerize {made.tag}",
        ],
    )
    if not locked and reason != NOT_ASKED:
        console.warning(
            f"built without a lock of the requirements: {reason}\n"
            "Later builds and images of it may get other versions; bundle build --lock demands a lock."
        )


def _references(texts: tuple[str, ...]) -> dict[str, str | Path]:
    """A file or folder that is there is hashed, all else is kept as it is."""
    found: dict[str, str | Path] = {}
    for text in texts:
        name, equals, reference = text.partition("=")
        if not equals or not name or not reference:
            raise click.BadParameter(f"{text!r} is not NAME=REFERENCE", param_hint="--data")
        there = "://" not in reference and Path(reference).exists()
        if not there and _PATH_LIKE.fullmatch(reference):
            console.warning(
                f"--data {text}: no such file or folder here, so these words are noted as they are"
            )
        found[name] = Path(reference) if there else reference
    return found


def _metric(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number) if name else float("no name")
    except ValueError:
        raise click.BadParameter(f"{text!r} is not NAME=NUMBER", param_hint="--metric") from None


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--label")
    return key, value
