"""From what `build` was given to the project folder and the service in it."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from ..errors import BuildError, ConfigError
from ..runtime.manifest import BUNDLE_FILE
from ..runtime.service.bundlefile import find_bundlefile
from ..runtime.service.load import SERVICE_FILE, resolve_target
from ..runtime.supervisor.control import Target

_SHOWN_CHARS = 40
_PACKAGE_FOLDERS = {"site-packages", "dist-packages"}


def path_of(target: str | Path) -> Path:
    """A target as a path, which need not exist.

    Raises:
        ConfigError: no file system takes a name of that length, which nothing else has either.
    """
    path = Path(target)
    try:
        path.is_dir()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        text = str(target)
        raise ConfigError(
            f"no file, folder, class or bundle can be called {text[:_SHOWN_CHARS]!r}…: {len(text)} "
            "characters are too many for a name; give a folder, a file, module:Class or a tag"
        ) from None
    return path


def is_project(target: str | Path) -> bool:
    """Whether it is the folder or the file of a service's own source, told without importing it.

    Raises:
        ConfigError: as `path_of`.
    """
    path = path_of(target)
    if path.suffix == ".py" or ".py:" in path.name:
        return True
    if (path / BUNDLE_FILE).is_file() or (path / SERVICE_FILE).is_file():
        return True
    bundlefile = find_bundlefile(path) if path.is_dir() else None
    return bundlefile is not None and bool(bundlefile.service)


def project_target(target: str | Path | type) -> Target:
    """
    Args:
        target: a project folder, `service.py:Class`, `module:Class`, or a service class of a file.

    Raises:
        BuildError: a bundle, a class without a file, or a folder that cannot be meant.
        ConfigError: nothing of these.
        ServiceDefinitionError: the class is no service.
    """
    found = _class_target(target) if isinstance(target, type) else resolve_target(str(target), verb="build")
    if found.bundle:
        raise BuildError(f"{target} is a bundle already: serve or export it, or build its project folder")
    folder = Path(found.source)
    if folder in {Path.home(), Path(folder.anchor)}:
        raise BuildError(
            f"all of {folder} would go into the bundle: put the service into a folder of its own"
        )
    if _PACKAGE_FOLDERS.intersection(folder.parts):
        raise BuildError(f"{found.service} is installed in {folder}: build in the folder of its source")
    return found


def _class_target(cls: type) -> Target:
    from ..runtime.service.service import service_info

    service_info(cls)
    if "<locals>" in cls.__qualname__:
        raise BuildError(
            f"{cls.__qualname__} is defined inside a function, where a server cannot find it: "
            "move it to the top of its file"
        )
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if not file:
        raise BuildError(
            f"{cls.__name__} lives in {cls.__module__}, which has no file: put the class into a file such as "
            "service.py, or into a cell of a notebook"
        )
    if cls.__module__ == "__main__":
        return resolve_target(f"{file}:{cls.__qualname__}")
    path = Path(file).absolute()
    depth = cls.__module__.count(".") + (path.name == "__init__.py")
    return Target(source=str(path.parents[depth]), service=f"{cls.__module__}:{cls.__qualname__}")
