"""What the names of a live session stand for now."""

from __future__ import annotations

import ast
import inspect
import linecache
import pprint
import sys
from collections.abc import Mapping
from types import CodeType, ModuleType
from typing import Any

from ...errors import BuildError
from ...runtime.model.model import Model
from ...runtime.service.service import INFO, ServiceInfo
from .history import shell_names
from .piece import Piece
from .training import Trained, asked_words, asks
from .values import is_model, model_words

_LONGEST = 4000
"""Characters of plain data that are written into the module; more goes by value."""
_WIDTH = 100
_ABSENT = object()


class LiveSession:
    """Follows `walk.Session`.

    Args:
        namespace: globals of `__main__`.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._of_shell = shell_names(namespace)

    def has(self, name: str) -> bool:
        # `__name__` and its like are each module's own.
        if name not in self._namespace or (name.startswith("__") and name.endswith("__")):
            return False
        return self._of_shell.get(name, _ABSENT) is not self._namespace[name]

    def is_current(self, piece: Piece, name: str) -> bool:
        """By the code that the object was compiled from: a cell may have failed before it, or run twice."""
        obj = self._namespace.get(name, _ABSENT)
        code = _ABSENT if obj is _ABSENT else _code(obj)
        if not isinstance(code, CodeType):
            return True
        text = "".join(linecache.getlines(code.co_filename))
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return True
        there = [
            node
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and node.name == name
            and node.lineno <= code.co_firstlineno + len(node.decorator_list)
            and code.co_firstlineno <= (node.end_lineno or 0)
        ]
        return not there or any(ast.dump(node) == ast.dump(piece.node) for node in there)

    def agrees(self, piece: Piece, name: str) -> bool:
        value = getattr(piece.node, "value", None)
        targets = getattr(piece.node, "targets", [getattr(piece.node, "target", None)])
        single = len(targets) == 1 and isinstance(targets[0], ast.Name)
        if isinstance(piece.node, ast.AugAssign) or value is None or not single:
            return True
        try:
            written = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return True
        obj = self._namespace.get(name, _ABSENT)
        return obj is _ABSENT or (type(obj) is type(written) and repr(obj) == repr(written))

    def check_no_model(self, name: str, piece: Piece, chain: str) -> None:
        obj = self._namespace.get(name)
        if not piece.is_definition and obj is not None and is_model(obj):
            raise BuildError(model_words(name, obj, chain))

    def runner_classes(self, name: str) -> list[str]:
        info = getattr(self._namespace[name], INFO, None)
        if not isinstance(info, ServiceInfo):
            return []
        classes = [each.cls for each in info.runners.values() if each.cls is not None]
        return [each.__name__ for each in classes if self._namespace.get(each.__name__) is each]

    def settle(self, name: str, why: Trained | None, chain: str) -> str | None:
        obj = self._namespace[name]
        if why is not None and asks(why.piece.node):
            raise BuildError(asked_words(name, why.piece.where, chain))
        if isinstance(obj, Model):
            return f'{name} = tiffin.models.get("{obj.tag}")'
        if isinstance(obj, ModuleType):
            return _import(obj.__name__, name)
        if is_model(obj):
            raise BuildError(model_words(name, obj, chain, why.saved_as if why is not None else ""))
        if (isinstance(obj, type) or inspect.isroutine(obj)) and _found_by_name(obj):
            alias = "" if obj.__name__ == name else f" as {name}"
            return f"from {obj.__module__} import {obj.__name__}{alias}"
        text = _plain(obj)
        return None if text is None else f"{name} = {text}"


def _code(obj: Any) -> Any:
    """Of a function, or of the first method of a class; None when there is none of its own."""
    if isinstance(obj, type):
        own = (_function(each) for each in vars(obj).values())
        return next(
            (
                each.__code__
                for each in own
                if hasattr(each, "__code__")
                and each.__qualname__ == f"{obj.__qualname__}.{each.__name__}"
                and each.__code__.co_name == each.__name__
            ),
            None,
        )
    code = getattr(_function(obj), "__code__", None)
    return code if code is not None and code.co_name == getattr(obj, "__name__", "") else None


def _function(obj: Any) -> Any:
    inner = getattr(obj, "fget", None) or getattr(obj, "__func__", None) or obj
    return inspect.unwrap(inner) if callable(inner) else inner


def _import(module: str, name: str) -> str:
    return f"import {module}" if module == name else f"import {module} as {name}"


def _found_by_name(obj: Any) -> bool:
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    return (
        module is not None
        and module.__name__ not in {"__main__", "builtins"}
        and getattr(module, getattr(obj, "__name__", ""), None) is obj
    )


def _plain(obj: Any) -> str | None:
    """Python that gives an equal object of text, numbers, lists …; None: it cannot be, or is long."""
    try:
        if type(obj) is set:  # in an order that is the same in every process
            text = f"{{{', '.join(sorted(map(repr, obj)))}}}" if obj else "set()"
        else:
            text = pprint.pformat(obj, width=_WIDTH, compact=True, sort_dicts=False)
        if len(text) > _LONGEST:
            return None
        again = ast.literal_eval(text)
    except Exception:  # noqa: BLE001 - `repr` is the user's code, and what it says may be anything
        return None
    same = again == obj if type(obj) is set else repr(again) == repr(obj)
    return text if type(again) is type(obj) and same else None
