"""Which names a statement binds, and which it needs, by Python's own table of symbols."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_COMPREHENSIONS = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})
_CHANGING = frozenset(
    {
        "add", "append", "appendleft", "clear", "discard", "extend", "insert", "move_to_end", "pop",
        "popitem", "register", "remove", "reverse", "setdefault", "sort", "subtract", "update",
    }
)  # fmt: skip
"""Methods that change what they are called on."""


_OWN_NAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Names:
    """What one statement of a cell has to do with names of the session."""

    binds: frozenset[str]
    perhaps: frozenset[str]
    """Those of `binds` that it may leave as they were: `if cuda: device = "cuda"`."""
    now: frozenset[str]
    """Looked up when the statement is executed."""
    later: frozenset[str]
    """Looked up when a function in it is called."""
    hints: frozenset[str]
    """Words of annotations that are strings: perhaps names."""
    changes: frozenset[str]
    """Whose object it changes: `x[0] = 1`, `x.a = 1`, `x.append(1)`."""
    later_changes: frozenset[str]
    """The same, by functions in it when they are called; and names that these bind by `global`."""


def names_of(statement: ast.stmt) -> Names:
    """
    Args:
        statement: at the top of a cell.
    """
    top = symtable.symtable(ast.unparse(statement), "cell", "exec")
    binds: set[str] = set()
    now: set[str] = set()
    later: set[str] = set()
    declared: set[str] = set()
    for symbol in top.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            binds.add(symbol.get_name())
        if symbol.is_referenced():
            now.add(symbol.get_name())
    for name, is_later, is_declared in _globals(top, is_later=False):
        (later if is_later else now).add(name)
        if is_declared:
            declared.add(name)
    now |= {
        node.target.id
        for node in _in_session(statement)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }
    if isinstance(statement, (ast.Delete, ast.Import, ast.ImportFrom)):
        now = set()
    if isinstance(statement, ast.Delete):
        binds = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef):
            now |= _looked_up_before_bound(node)
    changes = {name for node in _outside_functions(statement) for name in _changed(node)}
    all_changes = {name for node in ast.walk(statement) for name in _changed(node)}
    return Names(
        binds=frozenset(binds),
        perhaps=frozenset(binds - _surely([statement])),
        now=frozenset(now),
        later=frozenset(later),
        hints=frozenset(_hints(statement)),
        changes=frozenset(changes),
        # What is changed under a name of the function's own is none of ours.
        later_changes=frozenset(((all_changes - changes) & later) | declared),
    )


def _globals(table: symtable.SymbolTable, *, is_later: bool) -> Iterator[tuple[str, bool, bool]]:
    """Name, whether it is looked up later, and whether `global` declares it to be bound."""
    for child in table.get_children():
        inside = is_later or (child.get_type() == "function" and child.get_name() not in _COMPREHENSIONS)
        for symbol in child.get_symbols():
            bound = symbol.is_declared_global() and symbol.is_assigned()
            if symbol.is_global() and (symbol.is_referenced() or bound):
                yield symbol.get_name(), inside, bound
        yield from _globals(child, is_later=inside)


def _looked_up_before_bound(node: ast.ClassDef) -> set[str]:
    """Names that the body of a class both needs and binds, in that order: `forest = forest`."""
    found: set[str] = set()
    bound: set[str] = set()
    for statement in node.body:
        loads = {
            each.id
            for each in _outside_functions(statement)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
        }
        stores = {
            each.id
            for each in _outside_functions(statement)
            if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)
        }
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            stores.add(statement.name)
        found |= loads - bound
        bound |= stores
    return found & bound


def _outside_functions(statement: ast.AST) -> Iterator[ast.AST]:
    """Everything of a statement but the bodies of functions; decorators and defaults are outside."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += [*node.decorator_list, node.args]
            waiting += [node.returns] if node.returns is not None else []
        elif isinstance(node, ast.Lambda):
            waiting.append(node.args)
        else:
            waiting += ast.iter_child_nodes(node)


def _in_session(statement: ast.AST) -> Iterator[ast.AST]:
    """Everything of a statement that has the names of the session: no bodies of functions and classes."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _OWN_NAMES):
            waiting += ast.iter_child_nodes(node)


def _surely(body: Sequence[ast.stmt]) -> set[str]:
    """Names that statements bind, whatever way is taken through them."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.If):
            found |= _surely(node.body) & _surely(node.orelse)
        elif isinstance(node, ast.Try):
            ways = [_surely([*node.body, *node.orelse])]
            ways += [_surely(each.body) for each in node.handlers if not isinstance(each.body[-1], ast.Raise)]
            found |= set.intersection(*ways) | _surely(node.finalbody)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            if not any("suppress" in ast.unparse(each.context_expr) for each in node.items):
                found |= _surely(node.body)
            found |= {
                name for each in node.items if each.optional_vars for name in _stored(each.optional_vars)
            }
        elif not isinstance(node, (ast.For, ast.AsyncFor, ast.While, ast.Match)):
            found |= _stored(node)
    return found


def _stored(node: ast.AST) -> set[str]:
    """Names that a plain statement or a target binds; by `:=`, which a condition may pass by, none."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    by_walrus = {id(each.target) for each in ast.walk(node) if isinstance(each, ast.NamedExpr)}
    return {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and id(each) not in by_walrus
    }


def binds_out_of_sight(statement: ast.AST) -> bool:
    """Whether it may bind names that are written nowhere: `exec(…)`, `globals()["x"] = 1`."""
    return any(
        isinstance(node, ast.Name) and node.id in {"exec", "globals"} for node in ast.walk(statement)
    ) or any(
        ast.unparse(node) == "sys.modules" for node in ast.walk(statement) if isinstance(node, ast.Attribute)
    )


def _changed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
        root = root_of(node)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
        root = root_of(node.func)
    else:
        return
    if root:
        yield root


def root_of(node: ast.AST) -> str:
    """`a` of `a.b[0].c`; empty when it does not begin with a name."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _hints(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        annotation = getattr(node, "returns", None) or getattr(node, "annotation", None)
        if not isinstance(annotation, ast.AST):
            continue
        for part in ast.walk(annotation):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    inner = ast.parse(part.value.strip(), mode="eval")
                except (SyntaxError, ValueError):
                    continue  # words for people, or a shape: "n 4"
                yield from (each.id for each in ast.walk(inner) if isinstance(each, ast.Name))
