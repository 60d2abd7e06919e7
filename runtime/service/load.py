"""From what a person types to a service class.

`resolve_target` runs no user code, so that the supervisor may call it; `load_service` imports.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from ...errors import ConfigError, InvalidTagError, NotFoundError, ServiceDefinitionError
from ..home import bundles_folder
from ..manifest import BUNDLE_FILE, BundleInfo, load_yaml
from ..shelf import Shelf
from ..supervisor.control import Target
from .bundlefile import BUNDLEFILE, find_bundlefile
from .options import nearest
from .source import services_in
from .where import at

BUNDLE_VARIABLE = "TIFFIN_BUNDLE"
SOURCE_FOLDER = "src"
SERVICE_FILE = "service.py"
"""Of a project that names no other."""


def resolve_target(
    text: str, here: Path | None = None, *, verb: Literal["serve", "build"] = "serve"
) -> Target:
    """Finds what a person means, without importing user code.

    Args:
        text: a project folder (`bundlefile.yaml`, `[tool.tiffin]` or `service.py`), a bundle folder,
            `service.py`, `service.py:Class`, `module:Class` below the working folder or installed, or the tag
            of a bundle.
        here: the folder that it was typed in; the working folder when not given.
        verb: what is to become of it, for messages.

    Raises:
        ConfigError: nothing of these; says where was looked, and what is near. A damaged bundlefile.
        ServiceDefinitionError: a file without a service, or with several where one must be named.
        IntegrityError: a damaged bundle.yaml.
    """
    here = Path.cwd() if here is None else here
    path = here / text
    if path.is_dir():
        return _folder(path, verb)
    file, _, name = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
    if file.endswith(".py"):
        return _file(here / file, name)
    if path.is_file():
        raise ConfigError(
            f"{text} is no Python file; give a folder, a .py file, module:Class or a bundle's tag"
        )
    return _module_or_tag(text, here, verb)


def load_service(target: Target) -> type:
    """Imports the service in this process; `target.source` comes first on `sys.path`.

    With `target.bundle` the variable `TIFFIN_BUNDLE` is set and no bytecode is written into the bundle.

    Raises:
        ServiceDefinitionError: the import failed, with the user's file and line, or the class is no service.
    """
    from .service import service_info

    if target.bundle:
        os.environ[BUNDLE_VARIABLE] = target.bundle
        sys.dont_write_bytecode = True
    sys.path[:] = [target.source, *(entry for entry in sys.path if entry != target.source)]
    name, _, qualname = target.service.partition(":")
    found: Any = _import(name, target)
    for part in qualname.split("."):
        if not hasattr(found, part):
            raise ServiceDefinitionError(_no_class(sys.modules[name], qualname))
        found = getattr(found, part)
    service_info(found)
    return found  # type: ignore[no-any-return]


def _folder(folder: Path, verb: str) -> Target:
    if (folder / BUNDLE_FILE).is_file():
        return _bundle(folder)
    bundlefile = find_bundlefile(folder)
    if bundlefile is not None and bundlefile.service:
        return _declared(folder, bundlefile.service)
    file = folder / SERVICE_FILE
    if file.is_file():
        return Target(source=str(folder), service=f"{file.stem}:{_only_service(file)}")
    raise ConfigError(
        f"nothing to {verb} in {folder}: tried {BUNDLE_FILE}, model files, the key service of {BUNDLEFILE} "
        f"and of [tool.tiffin] in pyproject.toml, {SERVICE_FILE}{_elsewhere(folder)}"
    )


def _declared(folder: Path, service: str) -> Target:
    """The `service:` of a bundlefile: relative to its folder, which becomes `src/` of the bundle."""
    where, _, name = service.rpartition(":") if ":" in service else (service, "", "")
    dotted = where.removesuffix(".py").replace("/", ".") if where.endswith(".py") else where
    if not all(part.isidentifier() for part in (*dotted.split("."), *(name.split(".") if name else []))):
        raise ConfigError(f"service: {service!r} in {folder} is not module:Class or file.py:Class")
    file = _module_file(folder, dotted)
    if file is None:
        raise ConfigError(f"service: {service!r}: {folder} has no {where}{_elsewhere(folder)}")
    return Target(source=str(folder), service=f"{dotted}:{name or _only_service(file)}")


def _file(file: Path, name: str) -> Target:
    if not file.is_file():
        raise ConfigError(f"no file {file}{_elsewhere(file.parent)}")
    folder, module = file.parent, file.stem
    while (folder / "__init__.py").is_file():  # inside a package its relative imports must work
        folder, module = folder.parent, f"{folder.name}.{module}"
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigError(
            f"{file} cannot be imported: {module!r} is no module name; rename it with letters, digits, _"
        )
    return Target(source=str(folder), service=f"{module}:{name or _only_service(file)}")


def _module_or_tag(text: str, here: Path, verb: str) -> Target:
    module, colon, name = text.partition(":")
    # A tag may look like module:Class in lower case; the store wins, and service.py:Class is never a tag.
    try:
        return _bundle(Shelf(bundles_folder(), BUNDLE_FILE).path(text))
    except (NotFoundError, InvalidTagError) as error:
        in_store = "" if os.sep in text else str(error)  # a path was never meant to be a tag
    missing = [_no_path(text, here)]
    if colon and all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        if (
            _module_file(here, module) is not None
            or PathFinder.find_spec(module.partition(".")[0]) is not None
        ):
            return Target(source=str(here), service=text)
        missing = [f"no module {module} in {here} or on sys.path{_elsewhere(here)}"]
    if in_store and verb == "serve":
        missing.append(in_store)
    raise ConfigError(f"nothing to {verb} at {text!r}: {'; '.join(missing)}")


def _no_path(text: str, here: Path) -> str:
    """`no such file or folder in /work; did you mean 'iris.joblib'?`"""
    path = here / text
    folder = path.parent
    if path.exists():
        return f"{path} is neither a file nor a folder"
    if not folder.is_dir():
        return f"there is no folder {folder}"
    with suppress(OSError):  # only a hint: a folder that may not be read gives none
        names = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
        return f"no such file or folder in {folder}{nearest(path.name, names)}"
    return f"no such file or folder in {folder}"


def _bundle(folder: Path) -> Target:
    info = load_yaml(folder / BUNDLE_FILE, BundleInfo)
    return Target(source=str(folder / SOURCE_FOLDER), service=info.service.cls, bundle=str(folder))


def _module_file(folder: Path, dotted: str) -> Path | None:
    base = folder.joinpath(*dotted.split("."))
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def _only_service(file: Path) -> str:
    names = services_in(file)
    if len(names) == 1:
        return names[0]
    shown = at(str(file))
    if not names:
        raise ServiceDefinitionError(
            f"{shown}: no class with @tiffin.service; add one, or name the class: {shown}:Class"
        )
    raise ServiceDefinitionError(
        f"{shown}: has several services; name one: {', '.join(f'{shown}:{n}' for n in names)}"
    )


def _elsewhere(folder: Path) -> str:
    """`; there is app.py:Iris`: the services that lie in a folder, for a person who mistyped."""
    found = []
    for file in sorted(folder.glob("*.py"))[:50]:
        with suppress(ServiceDefinitionError, OSError):  # only a hint: a file that cannot be read gives none
            found += [f"{at(str(file))}:{name}" for name in services_in(file)]
    return f"; there is {', '.join(found)}" if found else ""


def _import(name: str, target: Target) -> ModuleType:
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ServiceDefinitionError:
        raise
    except (Exception, SystemExit) as error:
        raise ServiceDefinitionError(_import_failed(error, name, target)) from error
    expected = _module_file(Path(target.source), name)
    if expected is not None and module.__file__ and not Path(module.__file__).samefile(expected):
        raise ServiceDefinitionError(
            f"{at(str(expected))}: another module is called {name!r} ({module.__file__}); rename the file"
        )
    return module


def _import_failed(error: BaseException, name: str, target: Target) -> str:
    """The user's own frames only, the innermost named first."""
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        folder = Path(target.source)
        return f"no module {error.name!r} in {folder} and on sys.path{_elsewhere(folder)}"
    if isinstance(error, ModuleNotFoundError):
        what += f"; install it, and list it for the bundle in python: of {BUNDLEFILE}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{at(error.filename, error.lineno)}: {type(error).__name__}: {error.msg}"
    frames = _users(traceback.extract_tb(error.__traceback__), Path(target.source))
    if not frames:
        return f"importing {target.service} failed: {what}"
    trail = "".join(
        f"\n  {at(frame.filename, frame.lineno)} in {frame.name}: {frame.line}" for frame in frames
    )
    last = frames[-1]
    return f"{at(last.filename, last.lineno)}: importing {target.service} failed: {what}{trail}"


def _users(frames: Sequence[traceback.FrameSummary], source: Path) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(source) and "site-packages" not in Path(frame.filename).parts
    ]


def _no_class(module: ModuleType, qualname: str) -> str:
    from .service import ServiceInfo

    services = [
        n for n, value in vars(module).items() if isinstance(getattr(value, "__tiffin__", None), ServiceInfo)
    ]
    there = f" (services there: {', '.join(services)})" if services else ""
    file = at(module.__file__) if module.__file__ else module.__name__
    return f"{file}: no class {qualname!r}{nearest(qualname, services)}{there}"
