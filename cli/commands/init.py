"""`bundle init`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import console
from ..offered import offered

if TYPE_CHECKING:
    from ...bundler.start.bento.convert import Converted

_TEMPLATES = ("sklearn", "torch", "xgboost", "onnx", "transformers", "custom")
_DEFAULT = "sklearn"


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option(
    "-t",
    "--template",
    metavar="NAME",
    shell_complete=offered(lambda: _TEMPLATES),
    help=f"{', '.join(_TEMPLATES)}.  [{_DEFAULT}]",
)
@click.option(
    "--from-bento",
    "bento",
    metavar="BENTO_DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Carry over a project that was written for BentoML, into DIR or where it is.",
)
@click.option("--list", "list_them", is_flag=True, help="List the templates.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(folder: Path, template: str | None, bento: Path | None, list_them: bool, as_json: bool) -> None:
    """Write a small project into DIR (default: this folder), ready to train, test, build and serve.

    Nothing is overwritten. Names of the service, the model and the bundle follow from the folder's name.
    """
    if list_them:
        _list(as_json)
        return
    if bento is not None:
        if template is not None:
            raise click.UsageError("--template and --from-bento exclude each other")
        _from_bento(bento, folder, as_json)
        return
    from ...bundler.start.project import init_project

    made = init_project(folder, template or _DEFAULT)
    if as_json:
        console.emit_json(made)
        return
    console.panel(
        f"Wrote {made.names.title} ({made.template})",
        [
            ("folder", made.folder),
            ("service", made.names.cls),
            ("bundle", made.names.name),
            ("files", ", ".join(made.files)),
        ],
        made.next_steps,
    )


def _list(as_json: bool) -> None:
    from ...bundler.start.templates import TEMPLATES

    if as_json:
        console.emit_json(list(TEMPLATES.values()))
        return
    console.table(
        ["template", "what", "needs"],
        [(each.name, each.about, ", ".join(each.packages)) for each in TEMPLATES.values()],
    )


def _from_bento(bento: Path, folder: Path, as_json: bool) -> None:
    from ...bundler.start.bento.convert import convert

    # Where DIR is not given, the new files lie beside the old ones.
    in_place = (
        click.get_current_context().get_parameter_source("folder")
        is not click.core.ParameterSource.COMMANDLINE
    )
    made = convert(bento, bento if in_place else folder)
    if as_json:
        console.emit_json(made)
        return
    _show(made)


def _show(made: Converted) -> None:
    console.panel(
        f"Carried over {made.name}",
        [
            ("from", made.source),
            ("folder", made.folder),
            ("files", ", ".join(made.files)),
            ("carried over", f"{len(made.carried)} settings"),
            ("left", f"{len(made.left)} that need you, below" if made.left else "nothing"),
        ],
        made.next_steps,
    )
    for each in made.left:
        console.say(f"{each.where}: {each.what}")
