"""Objects that belong to one process, which no pickle can carry to another: open files, sockets, locks …

`pickle` refuses most of them, in words that name neither the variable nor the way out. Some it takes:
`cloudpickle` reads an open file to its end and gives the other process what it has read.
"""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from types import CellType, FunctionType, ModuleType
from typing import Any, cast

_KINDS = {
    "_thread.lock": "a lock",
    "_thread.RLock": "a lock",
    "_thread._local": "data of a thread",
    "builtins.generator": "a generator",
    "builtins.coroutine": "a coroutine",
    "builtins.async_generator": "a generator",
    "mmap.mmap": "a file that is mapped into memory",
    "socket.socket": "a socket",
    "sqlite3.Connection": "a database connection",
    "sqlite3.Cursor": "a cursor of a database",
    "subprocess.Popen": "another process",
    "threading.Thread": "a thread",
    "concurrent.futures._base.Executor": "a pool of threads or processes",
    "multiprocessing.pool.Pool": "a pool of threads or processes",
    "multiprocessing.process.BaseProcess": "another process",
    "multiprocessing.synchronize.SemLock": "a lock",
    "asyncio.events.AbstractEventLoop": "an event loop",
    "_asyncio.Future": "a task",
    "asyncio.futures.Future": "a task",
}
"""By the full name of a class, so that none of these modules is imported; classes derived from it count."""
_FILE = "an open file"
_STREAMS = ("stdin", "stdout", "stderr")
_MOST_LOOKED_AT = 20_000
WAY_OUT = (
    "open or make it where it is used: in the method, in __init__ of a runner class, or in a hook "
    "(@tiffin.on_start)"
)


def bound_kind(obj: Any) -> str:
    """`an open file`, `a lock` …; empty: it may travel."""
    kind = _kind_of(cast(Hashable, type(obj)))
    if kind != _FILE:
        return kind
    return "" if stream_name(obj) else _file(obj)


@lru_cache(maxsize=1024)  # of the many objects of a pickle, few have a class of their own
def _kind_of(cls: Any) -> str:
    """That of its objects; `_FILE` where it depends on the object."""
    if issubclass(cls, io.IOBase):
        return "" if issubclass(cls, (io.BytesIO, io.StringIO)) else _FILE
    names = (f"{each.__module__}.{each.__qualname__}" for each in cls.__mro__)
    return next((_KINDS[name] for name in names if name in _KINDS), "")


def stream_name(obj: Any) -> str:
    """`stdout` when it is this process's; another process has its own. Empty: it is none."""
    return next((name for name in _STREAMS if obj is getattr(sys, name)), "")


def path_to(root: Any, found: Callable[[Any], bool], name: str) -> str:
    """Where in an object something is: `config['log'].handle`; the name alone when it is not found.

    Args:
        root: what is looked through: containers, attributes, and what functions hold.
        found: whether an object is the one.
        name: of the root.
    """
    waiting, seen = deque([(name, root)]), {id(root)}
    while waiting and len(seen) < _MOST_LOOKED_AT:
        path, obj = waiting.popleft()
        if found(obj):
            return path
        for step, inner in _inside(obj):
            if id(inner) not in seen:
                seen.add(id(inner))
                waiting.append((path + step, inner))
    return name


def _file(obj: Any) -> str:
    named = getattr(obj, "name", None)
    return f"{_FILE} ({named})" if isinstance(named, str) else _FILE


def _inside(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, dict):
        yield from ((f"[{key!r}]", value) for key, value in list(obj.items()))
    elif isinstance(obj, (list, tuple, set, frozenset)):
        yield from ((f"[{place}]", value) for place, value in enumerate(obj))
    elif isinstance(obj, FunctionType):
        cells = obj.__closure__ or ()
        for name, cell in zip(obj.__code__.co_freevars, cells, strict=True):
            yield from ((f" → {name}", inner) for inner in _content(cell))
        named = (name for name in obj.__code__.co_names if name in obj.__globals__)
        yield from ((f" → {name}", obj.__globals__[name]) for name in named)
    elif not isinstance(obj, ModuleType):
        attributes = getattr(obj, "__dict__", None)
        if isinstance(attributes, Mapping):
            yield from ((f".{name}", value) for name, value in list(attributes.items()))


def _content(cell: CellType) -> Iterator[Any]:
    with suppress(ValueError):  # it has none yet
        yield cell.cell_contents
