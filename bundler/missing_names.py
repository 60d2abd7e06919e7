"""Names that functions read and nothing defines: a `NameError` at the first request, found at build.

Asked right after the import, when what a star, a condition or `exec` at the top of the module has bound is
known: only what is bound later has to be guessed at.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import msgspec

from ..errors import BuildError
from ..runtime.service.options import nearest

_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_BINDS_LATER = frozenset({"exec", "globals"})
"""What a function may bind names of the module with, out of sight."""
_VERSIONS = frozenset({"TYPE_CHECKING", "version_info", "hexversion", "platform", "system", "PY2", "PY3"})
"""A condition about these keeps code for another system or Python, which does not run here."""
_GETTEXT = "_"
"""Put among the builtins by `gettext.install()`, whenever that is called."""
_CATCHES_ALL = frozenset({"Exception", "BaseException"})
_FUNCTION = inspect.CO_OPTIMIZED
_COMPREHENSIONS = frozenset({"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"})
_MOST = 20


class MissingName(msgspec.Struct, kw_only=True, frozen=True):
    """A name that a function reads, and where."""

    path: str
    """Of the file, relative to the source."""
    line: int
    function: str
    """`Iris.classify`"""
    name: str
    hint: str
    """`; did you mean 'helper'?`, or nothing."""
    sure: bool
    """False: something may bind it in a way that cannot be followed, or `except Exception` is around it."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.function} reads {self.name}, which nothing defines{self.hint}"


class _Function(NamedTuple):
    """What runs when it is called."""

    code: CodeType
    name: str
    """`Iris.classify`; empty: a lambda."""
    near: tuple[str, ...]
    """Its own names, and those of the functions around it."""


def missing_names(
    text: str, path: str, module: ModuleType, others: Collection[str] = ()
) -> list[MissingName]:
    """
    Args:
        text: source of the module.
        path: its file, for people.
        module: as it was imported.
        others: names that modules beside it set on it while they run.

    Returns:
        By line, each name once a function. What `except NameError` or a condition about Python's version or
        the system stands around is left out; so are names that some function binds by `global`, and those
        that the module binds on a way that was not taken: `try: import regex`.
    """
    try:
        tree = ast.parse(text)
        code = compile(tree, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # it was imported from something else
        return []
    names = vars(module)
    functions = [(each, list(_reads(each.code))) for each in _functions(code)]
    known = {*names, *dir(builtins), *others, *_bound_later(code), *_bound_elsewhere(code)}
    guarded, caught = list(_guarded(tree)), list(_caught(tree))
    unsure = "sys.modules" in text or any(name in _BINDS_LATER for _, reads in functions for name, _ in reads)
    found: dict[tuple[str, str], MissingName] = {}
    for each, reads in functions:
        where = each.name
        asked_for = {name for name, line in reads if _within(guarded, line)}
        # Helpers of the import that are deleted after it are not called any more.
        is_there = where.partition(".")[0] in (*names, "")
        for name, line in reads:
            if name in known or name in asked_for or name.startswith("__") or (where, name) in found:
                continue
            found[where, name] = MissingName(
                path=path,
                line=line,
                function=where or "a lambda",
                name=name,
                hint=_hint(name, each, names),
                sure=is_there and not unsure and name != _GETTEXT and not _within(caught, line),
            )
    return sorted(found.values(), key=lambda each: each.line)[:_MOST]


def refuse_missing_names(found: Sequence[MissingName], classes: Iterable[str]) -> list[str]:
    """
    Args:
        found: of all modules.
        classes: `module:QualName` of the service and of the runners' classes, whose code a request runs.

    Returns:
        Notes of those that may be right: in other modules, or bound in a way that cannot be followed.

    Raises:
        BuildError: a module of one of the classes has others.
    """
    modules = {each.partition(":")[0].replace(".", "/") for each in classes}
    own = {f"{each}{ending}" for each in modules for ending in (".py", "/__init__.py")}
    wrong = [each for each in found if each.sure and each.path in own]
    if wrong:
        raise BuildError(
            "\n".join(map(str, wrong))
            + "\na request that gets there would end in NameError: define or import it; what is bound in a "
            "way that cannot be seen here, bind at the top, too: name = None"
        )
    return [f"{each} (NameError, should it run)" for each in found]


def set_on_modules(text: str, module: ModuleType) -> Iterator[tuple[str, str]]:
    """Modules that this one sets attributes of, `helpers.MODEL = …`, and the names of these."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and isinstance(there := vars(module).get(node.value.id), ModuleType)
        ):
            yield there.__name__, node.attr


def _hint(name: str, function: _Function, names: Mapping[str, Any]) -> str:
    """A name of the function or of the module, or the attribute that `self.` was left out of."""
    for part in function.name.split(".")[:-1]:
        if isinstance(cls := names.get(part), type) and hasattr(cls, name):
            return f"; did you mean 'self.{name}'?"
    known = (*function.near, *names)
    return nearest(name, [each for each in known if not each.startswith(("_", "."))])


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (each for each in code.co_consts if isinstance(each, CodeType))


def _functions(
    code: CodeType, inside: tuple[str, ...] = (), near: tuple[str, ...] = (), *, called: bool = False
) -> Iterator[_Function]:
    """What runs only when it is called: functions, and what is in them."""
    for each in _inner(code):
        # A comprehension or a class outside of functions has run with the import.
        runs_later = called or (bool(each.co_flags & _FUNCTION) and each.co_name not in _COMPREHENSIONS)
        names = inside if each.co_name.startswith("<") else (*inside, each.co_name)
        own = (*near, *each.co_varnames, *each.co_cellvars)
        if runs_later:
            yield _Function(each, ".".join(names), own)
        yield from _functions(each, names, own, called=runs_later)


def _reads(code: CodeType) -> Iterator[tuple[str, int]]:
    """Names that are looked up in the module, and the line; not those that the body of a class binds."""
    lines = {start: line for start, _, line in code.co_lines() if line is not None}
    line, own = code.co_firstlineno, set()
    for each in dis.get_instructions(code):
        line = lines.get(each.offset, line)
        if each.opname == "STORE_NAME":
            own.add(each.argval)
        elif each.opname in _READS and each.argval not in own:
            yield str(each.argval), line


def _bound_later(code: CodeType) -> set[str]:
    """Names that functions bind by `global`."""
    found = set()
    for each in _inner(code):
        if each.co_names:  # else it binds none
            found |= {one.argval for one in dis.get_instructions(each) if one.opname == "STORE_GLOBAL"}
        found |= _bound_later(each)
    return found


def _bound_elsewhere(code: CodeType) -> set[str]:
    """Names that the module binds at its top, whatever way is taken, and does not delete."""
    names: dict[str, set[str]] = {"STORE_NAME": set(), "DELETE_NAME": set()}
    for each in dis.get_instructions(code):
        if each.opname in names:
            names[each.opname].add(each.argval)
    return names["STORE_NAME"] - names["DELETE_NAME"]


def _guarded(tree: ast.AST) -> Iterator[tuple[int, int]]:
    """Lines that may read a missing name, and know what to do then."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any("NameError" in _kinds(each) for each in node.handlers):
            yield _lines(node.body)
        elif isinstance(node, (ast.If, ast.IfExp)) and _asks_version(node.test):
            yield node.lineno, node.end_lineno or node.lineno
        elif type(node).__name__ == "TypeAlias":  # looked up when somebody asks for its value
            yield _lines([node])
        elif parameters := getattr(node, "type_params", []):
            yield _lines(parameters)


def _caught(tree: ast.AST) -> Iterator[tuple[int, int]]:
    """Lines where any error is caught; most often to be told of another way."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_CATCHES_ALL & _kinds(each) for each in node.handlers):
            yield _lines(node.body)


def _kinds(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(each) for each in kinds}


def _lines(body: Sequence[Any]) -> tuple[int, int]:
    """First and last line of statements."""
    return body[0].lineno, body[-1].end_lineno or body[-1].lineno


def _within(spans: Iterable[tuple[int, int]], line: int) -> bool:
    return any(first <= line <= last for first, last in spans)


def _asks_version(test: ast.expr) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id in _VERSIONS)
        or (isinstance(node, ast.Attribute) and node.attr in _VERSIONS)
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "os.name")
        for node in ast.walk(test)
    )
