"""`env/python/requirements.in`: what a bundle needs from a package index.

Three parts: what tiffin itself needs, the exact versions that the models were saved with, and what the
project asks for. A version that the project names exactly wins over a model's. tiffin is not among them: a
bundle carries its wheel, and on an index the name may be another's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed_version
from pathlib import Path

from ...errors import BuildError, ConfigError
from ...runtime.manifest import ModelInfo, ServiceSpec
from ...runtime.service.bundlefile import PythonOptions

DEFAULT_FILE = "requirements.txt"
_DISTRIBUTION = __package__.partition(".")[0]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
# `; extra == "torch"`, alone or as the last part of a marker.
_EXTRA_MARKER = re.compile(r"""\s*(?:;|\band)\s*extra\s*==\s*["'](?P<extra>[^"']+)["']""")
_EXTRAS = re.compile(r"[A-Za-z0-9._-]+\s*\[([^\]]*)\]")
_OWN_VERSION = re.compile(r"===?\s*([^\s;,]+)")
_KINDS = {"dataframe": "pandas", "image": "image"}
"""Kind of a value in the schema → extra of tiffin that decodes it."""
_EXACT = re.compile(r"==|\s@\s")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
# `git@` is how ssh says nobody in particular. Signed addresses carry their password behind the `?`.
_PASSWORD = re.compile(
    r"://(?!git@)[^/\s@]+@"
    r"|[?&](?:[\w.-]*(?:token|secret|passw|signature|credential)[\w.-]*|(?:\w+[-_])?key|sig|auth)=",
    re.IGNORECASE,
)
_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]*(.+)")
EDITABLE = ("-e", "--editable")
_ADDRESS_OPTIONS = ("-i ", "--index-url", "--extra-index-url", "-f ", "--find-links")
_INDEX_OPTIONS = (*_ADDRESS_OPTIONS, "--no-binary", "--only-binary")
# Keys of ModelInfo.versions that are no packages.
_NO_PACKAGES = frozenset({"python", _DISTRIBUTION})


def requirements_file(project: Path, options: PythonOptions) -> Path | None:
    """The project's own file: the one that the bundlefile names, else `requirements.txt`, else none.

    Raises:
        ConfigError: the named file does not exist or lies outside.
    """
    if not options.requirements:
        return project / DEFAULT_FILE if (project / DEFAULT_FILE).is_file() else None
    path = project / options.requirements
    if not path.is_file():
        raise ConfigError(f"python.requirements: there is no file {path}")
    return path


def collect_requirements(
    project: Path, options: PythonOptions, models: Sequence[ModelInfo], service: ServiceSpec | None = None
) -> str:
    """The text of `requirements.in`; the same inputs give the same text.

    Args:
        project: the folder of the bundlefile.
        options: its key `python`.
        models: every model of the bundle.
        service: the kinds of its inputs and outputs need packages too; None: not looked at.

    Raises:
        BuildError: a line that no other machine could follow (a local path, a password), two models that
            were saved with different versions of one package, or another version of tiffin.
        ConfigError: the requirements file is missing or includes one that is.
    """
    file = requirements_file(project, options)
    own = [*(_read(file, project, ()) if file else []), *options.packages]
    for line in own:
        _check(line)
    extras = _extras([line for line in own if _name(line) == _DISTRIBUTION], service)
    own = [line for line in own if _name(line) != _DISTRIBUTION]
    parts = {
        "tiffin": sorted(_own_requirements(extras)),
        "the models": _pins(models, {_name(line) for line in own if _EXACT.search(line)}),
        "the project": own,
    }
    return "".join(
        f"# for {title}\n" + "".join(f"{line}\n" for line in lines) for title, lines in parts.items() if lines
    )


def _extras(lines: Sequence[str], service: ServiceSpec | None) -> set[str]:
    """Extras of tiffin that the project's requirements name, and those that its schema needs."""
    found: set[str] = set()
    for line in lines:
        wanted = _OWN_VERSION.search(line)
        own = installed_version(_DISTRIBUTION)
        if wanted and not wanted[1].endswith("*") and wanted[1] != own:
            raise BuildError(
                f"requirement {line!r}: the bundle carries the {_DISTRIBUTION} that builds it, {own}; "
                "remove the version, or build with that one"
            )
        found |= _named_extras(line)
    for api in service.apis if service is not None else ():
        types = [*api.inputs.values(), api.output]
        found |= {_KINDS[each.kind] for each in types if each.kind in _KINDS}
    return found


def _own_requirements(extras: set[str]) -> list[str]:
    try:
        every = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        raise BuildError(
            f"{_DISTRIBUTION} runs from a folder that is not installed, so what it needs is not known: "
            "install it with pip"
        ) from None
    found = [line for line in every if not _EXTRA_MARKER.search(line)]
    pending = sorted(extras)
    while pending:
        extra = pending.pop()
        for line in every:
            marker = _EXTRA_MARKER.search(line)
            if marker is None or _canonical(marker["extra"]) != extra:
                continue
            if _name(line) == _DISTRIBUTION:  # an extra that stands for others
                pending += sorted(_named_extras(line))
            else:
                found.append(_EXTRA_MARKER.sub("", line).rstrip())
    return list(dict.fromkeys(found))


def _named_extras(line: str) -> set[str]:
    named = _EXTRAS.match(line)
    return {_canonical(extra.strip()) for extra in named[1].split(",") if extra.strip()} if named else set()


def _pins(models: Sequence[ModelInfo], wanted: set[str]) -> list[str]:
    """`scikit-learn==1.4.0` for each package that a model was saved with, but for the `wanted`."""
    pins: dict[str, tuple[str, str]] = {}
    for model in models:
        for package, version in model.versions.items():
            if package in _NO_PACKAGES or _canonical(package) in wanted:
                continue
            public = version.partition("+")[
                0
            ]  # `2.5.1+cpu` is a build of 2.5.1 that most indexes do not have
            tag = f"{model.name}:{model.version}"
            other, first = pins.setdefault(_canonical(package), (public, tag))
            if other != public:
                raise BuildError(
                    f"{first} was saved with {package} {other} and {tag} with {public}: save one of them "
                    f"again, or name the version in bundlefile.yaml: python: {{packages: ['{package}==…']}}"
                )
    return [f"{package}=={version}" for package, (version, _) in sorted(pins.items())]


def _read(file: Path, project: Path, including: tuple[Path, ...]) -> list[str]:
    """Lines of a requirements file without comments; `-r` is followed."""
    real = file.resolve()
    if real in including:
        raise ConfigError(f"{file} includes itself")
    if not real.is_relative_to(project.resolve()):
        raise ConfigError(f"{file} lies outside of the project {project}")
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{including[-1]} includes {file}, which does not exist") from None
    lines: list[str] = []
    for raw in text.replace("\\\n", " ").splitlines():
        line = " ".join(_COMMENT.sub("", raw).split())
        if not line:
            continue
        if included := _INCLUDE.fullmatch(line):
            lines += _read(file.parent / included[1], project, (*including, real))
        else:
            lines.append(line)
    return lines


def _check(line: str) -> None:
    if _PASSWORD.search(line):
        raise BuildError(
            "a requirement carries a password in its address; bundles are shared, so give it to the "
            "installer instead: UV_INDEX_URL in the environment, or ~/.netrc"
        )
    option = line.startswith(_INDEX_OPTIONS)
    if line.startswith("-") and not option and not line.startswith(EDITABLE):
        raise BuildError(f"requirement {line!r}: this option is not supported; write out what is needed")
    local = "://" not in line and line.startswith((".", "/", "~", *EDITABLE, *_ADDRESS_OPTIONS))
    if local or "file://" in line:
        raise BuildError(
            f"requirement {line!r} points to this machine: remove it (the project's own code is in the "
            "bundle), or give a package's name or an address with https://"
        )


def _name(line: str) -> str:
    found = _NAME.match(line)
    return _canonical(found[0]) if found else ""


def _canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
