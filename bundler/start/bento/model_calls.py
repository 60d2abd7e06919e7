"""How a BentoML project gets its models, in our words; and what of BentoML is left in the code."""

from __future__ import annotations

import ast

from .code import BENTOML, Source, arguments, literal, model_tag
from .edits import Edits, quoted
from .notes import Notes

_GONE = {
    "save_model": "save models with tiffin.models.save(name, model, example=…)",
    "models.BentoModel": "tiffin.models.get(tag) in __init__ of the runner",
    "models.HuggingFaceModel": "download it while training, and tiffin.models.save(name, pipeline): nothing "
    "is downloaded when serving",
    "models.create": "tiffin.models.save(name, object)",
    "mount_asgi_app": "tiffin.mount(application, path)",
    "asgi_app": "tiffin.mount(application, path)",
    "metrics": "prometheus_client counts in the service itself",
    "monitor": "log what you want to keep in the api itself",
    "Context": "tiffin.request_context()",
    "BentoService": "BentoML 0.13 is not read: carry it to a class with @bentoml.service first",
    "artifacts": "BentoML 0.13 is not read: carry it to a class with @bentoml.service first",
}


def carry_models(source: Source, edits: Edits, notes: Notes) -> list[str]:
    """Replaces what gets and loads models.

    Returns:
        Tags that the code names.
    """
    tags: list[str] = []
    done: set[ast.AST] = set()
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or node in done:
            continue
        tag = model_tag(source, node)
        name = source.dotted(node.func)
        if tag is not None:
            tags.append(tag)
            edits.replace(node, f"tiffin.models.get({quoted(tag)})")
            notes.took(source.where(node), f"model {tag}")
        elif name.startswith(f"{BENTOML}.") and name.endswith(".load_model"):
            done.update(ast.walk(node))
            tags += _load(node, source, edits, notes)
    return list(dict.fromkeys(tags))


def _load(node: ast.Call, source: Source, edits: Edits, notes: Notes) -> list[str]:
    first = node.args[0] if node.args else arguments(node).get("bento_model") or arguments(node).get("tag")
    if first is None:
        notes.leave(source.where(node), f"{ast.unparse(node)} names no model")
        return []
    if more := [name for name in arguments(node) if name not in {"bento_model", "tag", "device_id"}]:
        notes.leave(
            source.where(node),
            f"{', '.join(more)} of load_model: tiffin.models.get(tag).load(device=…) takes a device only",
        )
    tag = literal(first)
    if not isinstance(tag, str):
        tag = model_tag(source, first)
    if tag is None:  # a model that was got elsewhere, in this very file: it is ours by then
        edits.replace(node, f"{edits.source(first)}.load()")
        return []
    edits.replace(node, f"tiffin.models.get({quoted(tag)}).load()")
    notes.took(source.where(node), f"model {tag}")
    return [tag]


def leftovers(text: str, source: Source, notes: Notes) -> set[str]:
    """Tells of every use of BentoML that the new code has still, by its line in the old one.

    Args:
        text: of the new code.
        source: the old code.

    Returns:
        Names whose imports have to stay.
    """
    tree = ast.parse(text)
    parts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Attribute, ast.Name)) or node in parts:
            continue
        name = source.dotted(node)
        if name != BENTOML and not name.startswith(f"{BENTOML}."):
            continue
        found.add(ast.unparse(node).partition(".")[0])
        short = name.removeprefix(f"{BENTOML}.")
        mend = next((words for key, words in _GONE.items() if short == key or short.endswith(f".{key}")), "")
        where = _old_place(source, name)
        notes.leave(
            where, f"{name} is still in the new code" + (f": {mend}" if mend else "; it has no counterpart")
        )
    return found


def _old_place(source: Source, name: str) -> str:
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and source.dotted(node) == name:
            return source.where(node)
    return source.name


def carry_imports(source: Source, edits: Edits, *, keep: set[str], typing: bool) -> None:
    """`import bentoml` becomes `import tiffin`; what was imported from BentoML goes.

    Args:
        keep: names of BentoML's that some of the code still needs.
        typing: whether `Any` was written, which has to be imported then.
    """
    written = False
    more = ["from typing import Any"] if typing and source.names.get("Any") != "typing.Any" else []
    for node in source.tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or not _of_bentoml(node):
            continue
        rest = _rest(node, keep)
        lines = [*rest] if written else [*more, *rest, "import tiffin"]
        if lines:
            edits.replace(node, "\n".join(lines))
        else:
            edits.drop_lines(node.lineno, node.end_lineno or node.lineno)
        written = True
    if not written:
        edits.insert_before(_first_code(source.tree), "\n".join([*more, "import tiffin", ""]))


def _of_bentoml(node: ast.Import | ast.ImportFrom) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return any(name.partition(".")[0] == BENTOML for name in names)


def _rest(node: ast.Import | ast.ImportFrom, keep: set[str]) -> list[str]:
    """What stays of an import, a line each: of BentoML the names that are still used, of others all."""
    if isinstance(node, ast.ImportFrom):
        aliases = [alias for alias in node.names if (alias.asname or alias.name) in keep]
        return [ast.unparse(ast.ImportFrom(node.module, aliases, node.level))] if aliases else []
    return [
        ast.unparse(ast.Import([alias]))
        for alias in node.names
        if alias.name.partition(".")[0] != BENTOML or (alias.asname or alias.name.partition(".")[0]) in keep
    ]


def _first_code(tree: ast.Module) -> int:
    for node in tree.body:
        doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not doc and not future:
            decorators: list[ast.expr] = getattr(node, "decorator_list", [])
            return min([node.lineno, *(each.lineno for each in decorators)])
    return 1
