"""`bundle models`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import TiffinError
from .. import console
from ..group import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

    from ...runtime.manifest import TypeSpec
    from ...runtime.model.model import Model

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for machines.")


class ModelTag(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """`iris`, `iris:latest`, `iris:6f3k2q…`"""

    name = "tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        from ...runtime.tag import Tag

        return value if isinstance(value, Tag) else Tag.parse(value)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from ...bundler import models

        tags = [str(model.tag) for model in models.list()]
        return [CompletionItem(tag) for tag in tags if tag.startswith(incomplete)]


@click.group("models", cls=Group, no_args_is_help=True)
def command() -> None:
    """List, show, delete, export and import models."""


@command.command("list")
@click.argument("name", required=False)
@json_option
def list_(name: str | None, as_json: bool) -> None:
    """List the models in the store, or the versions of one NAME."""
    from ...bundler import models

    rows = [_summary(model) for model in models.list(name)]
    if as_json:
        console.emit_json(rows)
        return
    console.table(
        ["tag", "framework", "size>", "created", "labels"],
        [
            [row["tag"], row.get("framework", "damaged"), _size(row), row.get("created"), _labels(row)]
            for row in rows
        ],
        empty=f"No version of {name}." if name else "No models yet: tiffin.models.save(…) makes one.",
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
        console.emit_json({"tag": str(model.tag), "path": str(model.path), "info": info})
        return
    console.panel(str(model.tag), _facts(model), next_steps=[f"bundle models export {model.tag} ."])


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
@click.argument("path", type=click.Path(path_type=Path), default=".")
@json_option
def export(tag: Any, path: Path, as_json: bool) -> None:
    """Write a model to one file, PATH (a folder: <name>-<version>.tar; gzipped when it ends in .gz)."""
    from ...bundler import models

    with console.progress(f"export {tag}", quiet=as_json) as bar:
        written = models.export(tag, path, on_progress=lambda done, total: bar.update(done=done, total=total))
    if as_json:
        console.emit_json({"path": written, "size_bytes": written.stat().st_size})
        return
    console.panel(
        "Exported",
        {"file": written, "size": _bytes(written.stat().st_size)},
        next_steps=[f"bundle models import {written.name}"],
    )


@command.command("import")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def import_(path: Path, as_json: bool) -> None:
    """Take a model from a file into the store."""
    from ...bundler import models

    with console.progress(f"import {path.name}", quiet=as_json) as bar:
        model = models.import_(path, on_progress=lambda done, total: bar.update(done=done, total=total))
    if as_json:
        console.emit_json(_summary(model))
        return
    console.panel("Imported", _facts(model), next_steps=[f"bundle models show {model.tag}"])


def _summary(model: Model) -> dict[str, Any]:
    """One row of the list; a damaged manifest must not hide the others."""
    try:
        info = model.info
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
    info = model.info
    yield "framework", info.framework + (" (pickled: loading it runs its code)" if info.pickled else "")
    yield "created", info.created
    yield "size", f"{_bytes(info.size_bytes)} in {len(info.files)} file{'s'[: len(info.files) > 1]}"
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
    yield "versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())


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
    return _bytes(row["size_bytes"]) if "size_bytes" in row else ""


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
