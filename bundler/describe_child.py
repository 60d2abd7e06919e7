"""The process that imports a service to describe it; `describe.py` starts it."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from ..errors import TiffinError
from ..runtime.manifest import ServiceSpec
from ..runtime.supervisor.control import Target
from .child_process import name_of, put_answer, read_question
from .missing_names import MissingName, missing_names, set_on_modules
from .python.observed import Observed

_PACKAGE = __name__.partition(".")[0]


class Question(msgspec.Struct, kw_only=True):
    """Comes on stdin, as msgpack."""

    source: str
    """Folder of the snapshot."""
    service: str
    """`module:QualName`"""
    answer: str
    """File to write the `Description` to, as msgpack; stdout belongs to the user's code."""


class Description(msgspec.Struct, kw_only=True):
    """What was found, or why nothing was."""

    spec: ServiceSpec | None = None
    openapi: dict[str, Any] = {}
    proto: str = ""
    """Text of its `.proto`."""
    untyped: dict[str, str] = {}
    """Api to the reason why it is no method there."""
    modules: dict[str, str] = {}
    """Imported modules outside of the standard library and of installed packages: name to file."""
    imported: list[tuple[str, str]] = []
    """Who imported which module outside of the standard library, both as top-level names; an empty
    importer is the code of the bundle. Each module once, by the first who did."""
    lost: list[MissingName] = []
    """Names that functions of the bundle's code read, and nothing defines."""
    error: str = ""
    """Class name in `errors.py`."""
    message: str = ""
    missing: str = ""
    """Module or file that was looked for in vain."""


def main() -> None:
    question = read_question(Question)
    sys.path[:] = [entry for entry in sys.path if entry not in {"", os.getcwd()}]  # noqa: PTH109 - as -m writes it
    answer = _describe(Target(source=question.source, service=question.service))
    put_answer(question.answer, answer)


def _describe(target: Target) -> Description:
    from ..runtime.grpc.typed.proto import TypedProto
    from ..runtime.schema.openapi import openapi
    from ..runtime.service.load import load_service
    from ..runtime.service.service import service_info

    observed = Observed(Path(target.source))
    try:
        with observed:
            info = service_info(load_service(target))
        typed = TypedProto(info)
        return Description(
            spec=info.spec(),
            openapi=openapi(info),
            proto=typed.text,
            untyped=typed.refused,
            modules=_modules(),
            imported=observed.found,
            lost=_lost(Path(target.source)),
        )
    except TiffinError as error:
        return Description(error=name_of(error), message=str(error), missing=_missing(error.__cause__))


def _missing(error: BaseException | None) -> str:
    if isinstance(error, ModuleNotFoundError):
        return error.name or ""
    return str(error.filename) if isinstance(error, FileNotFoundError) and error.filename else ""


def _modules() -> dict[str, str]:
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] not in {_PACKAGE, "__main__"} and not _installed(file):
            found[name] = str(Path(file).resolve())
    return found


def _lost(source: Path) -> list[MissingName]:
    """Of the modules that lie in the source."""
    modules: dict[str, tuple[ModuleType, Path]] = {}
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if isinstance(module, ModuleType) and file.suffix == ".py" and file.is_relative_to(source):
            modules[name] = module, file
    texts = {name: file.read_bytes().decode(errors="replace") for name, (_, file) in modules.items()}
    set_on: dict[str, set[str]] = defaultdict(set)
    for name, (module, _) in modules.items():
        for there, attribute in set_on_modules(texts[name], module):
            set_on[there].add(attribute)
    everywhere = set_on["builtins"]
    return [
        each
        for name, (module, file) in modules.items()
        for each in missing_names(
            texts[name], file.relative_to(source).as_posix(), module, set_on[name] | everywhere
        )
    ]


def _installed(file: str) -> bool:
    parts = Path(file).parts
    return "site-packages" in parts or "dist-packages" in parts or file.startswith(_STANDARD_LIBRARY)


_STANDARD_LIBRARY = str(Path(os.__file__).parent) + os.sep

if __name__ == "__main__":
    main()
