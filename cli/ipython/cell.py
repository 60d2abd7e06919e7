"""`%%bundle service`: runs the cell that defines a service, and marks it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import click

from ...errors import ServiceDefinitionError, UsageError
from .. import console

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .session import Session


@click.command(name="service", add_help_option=False)
@click.argument("cls", metavar="[CLASS]", required=False)
@click.option("--name", help="What its bundles are called  [as the service says]")
def _line(cls: str | None, name: str | None) -> tuple[str | None, str | None]:
    return cls, name


def run_service_cell(session: Session, words: list[str], cell: str) -> None:
    """
    Args:
        session: whose services the class joins.
        words: of the line behind `%%bundle`.
        cell: the code below it.

    Raises:
        UsageError: the line is not `service [CLASS] [--name NAME]`, or the cell defines several.
        ServiceDefinitionError: the cell defines no service.
        Exception: whatever the cell raises.
    """
    __tracebackhide__ = True  # IPython leaves the frame out
    if words[:1] != ["service"]:
        raise UsageError(
            "%%bundle knows one word: %%bundle service; the others are %bundle, on a line of their own"
        )
    wanted, bundle_name = _line.main(words[1:], prog_name="%%bundle service", standalone_mode=False)
    if bundle_name is not None:
        from ...runtime.tag import Tag

        Tag(bundle_name)  # only looked at: a build reads it from the cell, wherever it is built
    before = session.services.classes()
    _run(session.shell, cell)
    after = session.services.classes()
    new = [name for name, cls in after.items() if before.get(name) is not cls]
    if wanted is not None and wanted not in after:
        raise ServiceDefinitionError(
            f"no class {wanted} with @tiffin.service; there is {', '.join(after) or 'none'}"
        )
    if wanted is None and not new:
        raise ServiceDefinitionError("the cell defines no class with @tiffin.service: put it on the class")
    if wanted is None and len(new) > 1:
        raise UsageError(f"the cell defines several services, name one: %%bundle service {' | '.join(new)}")
    name = wanted or new[0]
    session.services.mark(name)
    console.note(f"{name} is the service of this notebook: %bundle serve, %bundle build")


def _run(shell: InteractiveShell, cell: str) -> None:
    """Runs code as a cell, with its own traceback, and its last expression shown.

    Not `shell.run_cell`, which shows an exception and swallows it: a pipeline would take the cell for done.
    """
    __tracebackhide__ = True
    source = shell.transform_cell(cell)
    number = len(shell.history_manager.input_hist_parsed) - 1  # of the cell that runs
    name = shell.compile.cache(source, number, raw_code=cell)
    tree = shell.transform_ast(shell.compile.ast_parse(source, filename=name))
    last: list[Any] = tree.body[-1:] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
    body = tree.body[: len(tree.body) - len(last)]
    exec(shell.compile(ast.Module(body, []), name, "exec"), shell.user_ns)  # noqa: S102 - the user's cell
    if last:
        exec(shell.compile(ast.Interactive(last), name, "single"), shell.user_ns)  # noqa: S102
