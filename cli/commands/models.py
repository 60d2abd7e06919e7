"""`bundle models`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import ModelError, NotFoundError, TiffinError
from .. import console, exported
from ..group import Group
from ..model_file_options import model_file_options
from ..offered import offered
from ..provenance_view import provenance_rows
from ..tags import ModelTag
from .diff import emit, exit_code, fail_on, tell_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...runtime.manifest import ModelInfo, TypeSpec
    from ...runtime.model.model import Model

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for machines.")


@click.group("models", cls=Group, no_args_is_help=True)
def command() -> None:
    """List, show, save, delete, export and import models."""


@command.command("list")
@click.argument("name", required=False, shell_complete=offered(ModelTag().names))
@json_option
def list_(name: str | None, as_json: bool) -> None:
    """List the models in the store, or the versions of one NAME."""
    from ...bundler import models

    rows = [row for row in map(_summary, models.list(name)) if row is not None]
    if as_json:
        console.emit_json(rows)
        return
    console.table(
        ["tag", "framework", "size>", "created (UTC)", "labels"],
        [
            [row["tag"], row.get("framework", "damaged"), _size(row), _created(row), _labels(row)]
            for row in rows
        ],
        empty=ModelTag().none_of(name) if name else "no models yet; make one with: tiffin.models.save(…)",
    )


@command.command()
@click.argument("tag", type=ModelTag())
@json_option
def show(tag: Any, as_json: bool) -> None:
    """Show what is known about a model: signature, versions, origin."""
    from ...bundler import models

    model = models.get(tag)
    info = model.info
    if as_json:
        found = {"tag": str(model.tag), "path": str(model.path), "memory": _memory(info), "info": info}
        console.emit_json(found)
        return
    console.panel(str(model.tag), _facts(model), next_steps=[f"bundle models export {model.tag} ."])


@command.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Name of the model.  [the file's]")
@click.option("--framework", help="Who reads it, when its content should not tell.")
@model_file_options
@json_option
def save(
    path: Path,
    *,
    name: str | None,
    framework: str | None,
    inputs: tuple[str, ...],
    classes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Put the model of a file or folder into the store.

    PATH is model.joblib, model.onnx, model.ubj …, or a folder that is one model.
    """
    from ...bundler.model_files.names import model_name
    from ...bundler.model_files.saving import save_apart
    from ...bundler.model_files.wishes import read_classes

    words = [word for file in classes for word in read_classes(Path(file))]
    model = save_apart(
        name or model_name(path), path, classes=words or None, inputs=inputs, framework=framework
    )
    if as_json:
        console.emit_json(_summary(model))
        return
    console.panel(f"Saved {model.tag}", _facts(model), next_steps=[f"bundle models show {model.tag}"])


@command.command()
@click.argument("a", type=ModelTag())
@click.argument("b", type=ModelTag())
@fail_on
@json_option
def diff(a: Any, b: Any, fail_on: str | None, as_json: bool) -> int:
    """Show what differs from model A to model B.

    Methods, metrics, versions, files and origin; what breaks callers first.
    """
    from ...bundler import models
    from ...bundler.diff.models import diff_models

    found = diff_models(models.get(a).info, models.get(b).info)
    if as_json:
        emit(found)
    else:
        tell_model(found)
    return exit_code(found, fail_on)


@command.command()
@click.argument("tags", nargs=-1, required=True, type=ModelTag())
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def delete(tags: tuple[Any, ...], yes: bool, as_json: bool) -> None:
    """Delete models from the store. Bundles keep their own."""
    from ...bundler import models

    found = list(dict.fromkeys(models.resolve(tag) for tag in tags))  # all of them exist, before one goes
    if not console.confirm(f"Delete {', '.join(map(str, found))}", yes=yes):
        raise click.Abort
    for tag in found:
        models.delete(tag)
    if as_json:
        console.emit_json({"deleted": [str(tag) for tag in found]})
        return
    for tag in found:
        console.say(f"deleted {tag}")


@command.command()
@click.argument("tag", type=ModelTag())
@click.argument("path", type=click.Path(), default=".")
@json_option
def export(tag: Any, path: str, as_json: bool) -> None:
    """Write a model to one file.

    PATH is a file (gzipped when it ends in .gz or .tgz) or a folder; default: NAME-VERSION.tar here.
    """
    from ...bundler import models

    exported.export(models.get(tag), models.export, path, taken_by="bundle models import", as_json=as_json)


@command.command("import")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def import_(path: Path, as_json: bool) -> None:
    """Take a model from a file into the store."""
    from ...bundler import models

    with console.progress(f"import {path.name}", quiet=as_json) as bar:
        model = models.import_(path, on_progress=lambda done, total: bar.update(done=done, total=total))
    if as_json:
        console.emit_json(_summary(model))
        return
    console.panel(f"Imported {model.tag}", _facts(model), next_steps=[f"bundle models show {model.tag}"])


def _summary(model: Model) -> dict[str, Any] | None:
    """One row of the list; a damaged manifest must not hide the others. None: deleted since it was listed."""
    try:
        info = model.info
    except NotFoundError:
        return None
    except TiffinError as error:
        return {"tag": str(model.tag), "error": str(error)}
    return {
        "tag": str(model.tag),
        "framework": info.framework,
        "size_bytes": info.size_bytes,
        "created": info.created,
        "digest": info.digest,
        "pickled": info.pickled,
        "labels": info.labels,
    }


def _facts(model: Model) -> Iterator[tuple[str, object]]:
    from ...bundler.words import size_words, time_words

    info = model.info
    yield "framework", info.framework + (" (pickled: loading it runs its code)" if info.pickled else "")
    yield "created", f"{time_words(info.created)} UTC"
    yield "size", f"{size_words(info.size_bytes)} in {len(info.files)} file{'s'[: len(info.files) > 1]}"
    if (memory := _memory(info)) is not None:
        each, shared = size_words(memory["worker_bytes"]), size_words(memory["shared_bytes"])
        yield (
            "memory",
            f"{each} a worker" + (f" and {shared} that all share on a CPU" * bool(memory["shared_bytes"])),
        )
    yield "digest", info.digest
    yield "path", model.path
    for name, method in info.methods.items():
        takes = ", ".join(f"{key}: {_type(spec)}" for key, spec in method.inputs.items()) or "…"
        yield (
            f"{name}()",
            f"{takes} → {_type(method.output)}" + ("" if method.batch else " (one call at a time)"),
        )
    if info.classes:
        shown = ", ".join(info.classes[:8]) + (", …" if len(info.classes) > 8 else "")
        yield "classes", f"{len(info.classes)}: {shown}"
    yield from info.labels.items()
    yield from info.metadata.items()
    yield from provenance_rows(info.provenance)
    tried = ", ".join(f"{entry.path.rpartition('/')[2].partition('.')[0]}()" for entry in info.examples)
    yield "recorded examples", tried
    yield "versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())


def _memory(info: ModelInfo) -> dict[str, int] | None:
    """Bytes of its files that workers on a CPU hold once, and those that each holds; None when nothing here
    knows the framework."""
    from ...runtime.model.framework import shared_bytes

    try:
        shared = shared_bytes(info)
    except ModelError:
        return None
    return {"shared_bytes": shared, "worker_bytes": info.size_bytes - shared}


def _type(spec: TypeSpec | None) -> str:
    """`float64[n, 4]`"""
    if spec is None:
        return "…"
    if spec.columns is not None:
        return f"dataframe[{', '.join(spec.columns)}]"
    axes = "" if spec.shape is None else f"[{', '.join(map(str, spec.shape))}]"
    return (spec.dtype or spec.kind) + axes


def _labels(row: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in row.get("labels", {}).items())


def _size(row: dict[str, Any]) -> str:
    from ...bundler.words import size_words

    return size_words(row["size_bytes"]) if "size_bytes" in row else ""


def _created(row: dict[str, Any]) -> str:
    from ...bundler.words import time_words

    return time_words(row.get("created", ""))
