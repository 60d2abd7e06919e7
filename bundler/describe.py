"""What a service says of itself, asked in a clean process that sees only the snapshot.

The process runs before the bundle exists, so a file that was left out, a package that is not installed and a
class that cannot be imported are found now and not by the one who serves it. `describe_child.py` runs there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from .. import errors
from ..errors import BuildError, MissingDependencyError, TiffinError
from ..runtime.home import home
from ..runtime.manifest import ServiceSpec
from ..runtime.supervisor.control import Target
from .child_process import Reply, ask, output_tail
from .describe_child import Description, Question

DESCRIBING = "TIFFIN_DESCRIBING"
"""Set in the process that imports the service; a `tiffin.build()` in there would never end."""
TIMEOUT_S = 300.0

_SHOWN = 5


def describe(
    target: Target, snapshot: Path, *, packed: Callable[[], Sequence[Path]] = tuple
) -> tuple[ServiceSpec, Description]:
    """Imports the service from the snapshot in a new process.

    Args:
        target: the service in its project folder.
        snapshot: the copy of that folder.
        packed: folders of packages that go into the bundle as wheels; asked when one is imported.

    Returns:
        What the service is, with the models' tags resolved, and all that was found with it.

    Raises:
        BuildError: the process failed, took too long, or imported what is not in the snapshot.
        TiffinError: what the import raised, of the same class, with paths relative to the project.
    """
    project = Path(target.source)
    snapshot = snapshot.resolve()
    before = _stamps(snapshot)
    # Beside the snapshot, which is in a draft: what a killed build leaves is swept with it.
    with tempfile.TemporaryDirectory(prefix=".describe-", dir=snapshot.parent) as folder:
        answer = Path(folder) / "answer"
        question = Question(source=str(snapshot), service=target.service, answer=str(answer))
        reply = _run(question, project, Path(folder))
    if (found := reply.answer) is None:
        raise BuildError(
            f"importing {target.service} ended the process ({reply.status}){_printed(reply.tail)}"
        )
    if found.spec is None:
        message = found.message.replace(f"{snapshot}/", "").replace(str(snapshot), str(project))
        message += _left_out(found.missing, project, snapshot) + _printed(reply.tail)
        raise _error_class(found.error)(message)
    _check_modules(found.modules, target.service, project, snapshot, packed)
    _check_untouched(target.service, before, _stamps(snapshot))
    return found.spec, found


def _stamps(snapshot: Path) -> dict[str, tuple[int, ...]]:
    """Path to what a write would change."""
    found: dict[str, tuple[int, ...]] = {}
    for path in snapshot.rglob("*"):
        if not path.is_dir():
            status = path.lstat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            found[path.relative_to(snapshot).as_posix()] = stamp
    return found


def _check_untouched(
    service: str, before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]
) -> None:
    """Code that writes among its own files makes a bundle that is damaged by being used."""
    touched = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    if touched:
        raise BuildError(
            f"importing {service} writes {', '.join(touched[:_SHOWN])} beside its code, and the files of a "
            "bundle must stay as they are: write to a folder of its own (tempfile, an environment variable)"
        )


def _error_class(name: str) -> type[TiffinError]:
    kind = getattr(errors, name)
    return BuildError if kind is MissingDependencyError else kind  # which takes no message


def here(project: Path) -> dict[str, str]:
    """Variables of a process that imports the code of a bundle in this environment.

    Args:
        project: where the code comes from, which must not be found there.
    """
    environment = {**os.environ, DESCRIBING: "1", "PYTHONPATH": os.pathsep.join(_python_path(project))}
    environment["TIFFIN_HOME"] = str(home())  # which may be relative to this working folder
    environment.pop("TIFFIN_BUNDLE", None)
    return environment


def _run(question: Question, project: Path, folder: Path) -> Reply[Description]:
    try:
        return ask(
            (sys.executable, "-B", "-m", f"{__package__}.describe_child"),
            question,
            Description,
            cwd=folder,
            environment=here(project),
            timeout_s=TIMEOUT_S,
        )
    except TimeoutExpired as error:
        raise BuildError(
            f"importing {question.service} took more than {TIMEOUT_S:.0f} s; what takes long belongs into "
            f"__init__ of a runner class or an on_start hook{_printed(output_tail(error.output))}"
        ) from error


def _python_path(project: Path) -> list[str]:
    """`PYTHONPATH` without the project, which must be found in the snapshot only."""
    paths = [Path(entry).absolute() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return [str(path) for path in paths if not path.is_relative_to(project)]


def _check_modules(
    modules: dict[str, str],
    service: str,
    project: Path,
    snapshot: Path,
    packed: Callable[[], Sequence[Path]],
) -> None:
    """An editable install leads past the snapshot, to files that will be missing where it is served."""
    outside = {name: file for name, file in modules.items() if not Path(file).is_relative_to(snapshot)}
    strays = [name for name, file in outside.items() if Path(file).is_relative_to(project.resolve())]
    if strays:
        folders = packed()
        strays = [
            name for name in strays if not any(Path(outside[name]).is_relative_to(each) for each in folders)
        ]
    if strays:
        name = min(strays)
        raise BuildError(
            f"{service} imports {name!r} from {outside[name]}, which is not in the bundle: include it, "
            "or name its package in the requirements (-e .)"
        )
    own = service.partition(":")[0]
    if own not in modules or own in outside:
        raise BuildError(
            f"{service} was imported from {outside.get(own, 'an installed package')}, not from {project}: "
            "build in the folder that holds its source"
        )


def _left_out(missing: str, project: Path, snapshot: Path) -> str:
    """A remark, when what was looked for in vain is in the project but not in the snapshot."""
    relative = missing.removeprefix(f"{snapshot}/")
    dotted = relative.replace(".", "/")
    for path in (relative, dotted, f"{dotted}.py") if missing and not relative.startswith("/") else ():
        if (project / path).exists() and not (snapshot / path).exists():
            return f"\n{path} is in the project, but include, exclude or .bundleignore leave it out"
    if missing and not relative.startswith("/") and (snapshot / relative).exists() and relative == missing:
        return (
            f"\n{missing} is in the bundle, but a server's working folder is any: "
            f"open it beside the code, Path(__file__).parent / {Path(missing).name!r}"
        )
    return ""


def _printed(tail: str) -> str:
    return f"\nit printed:{tail}" if tail else ""
