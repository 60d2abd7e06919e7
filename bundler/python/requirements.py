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
from typing import NamedTuple

from ...errors import BuildError
from ...runtime.manifest import ModelInfo, ServiceSpec
from ...runtime.service.options import nearest
from .installed import public_version
from .line import name_of
from .needs import Needs, Wanted, canonical
from .wheel import DISTRIBUTION

# `; extra == "torch"`, alone or as the last part of a marker.
_EXTRA_MARKER = re.compile(r"""\s*(?:;|\band)\s*extra\s*==\s*["'](?P<extra>[^"']+)["']""")
_EXTRAS = re.compile(r"[A-Za-z0-9._-]+\s*\[([^\]]*)\]")
_OWN_VERSION = re.compile(r"===?\s*([^\s;,]+)")
_KINDS = {"dataframe": "pandas", "image": "image"}
"""Kind of a value in the schema → extra of tiffin that decodes it."""
_EXACT = re.compile(r"==|\s@\s")
_EXACT_VERSION = re.compile(r"[^=]===?\s*([^\s;,*]+)\s*(?:;|$)")
# Keys of ModelInfo.versions that are no packages.
_NO_PACKAGES = frozenset({"python", DISTRIBUTION})


class Collected(NamedTuple):
    """All that a bundle asks for."""

    text: str
    """`requirements.in`; the same inputs give the same text."""
    wanted: Sequence[Wanted]
    notes: Sequence[str] = ()


def collect_requirements(
    needs: Needs, models: Sequence[ModelInfo], service: ServiceSpec | None = None
) -> Collected:
    """
    Args:
        needs: of the project.
        models: every model of the bundle.
        service: the kinds of its inputs and outputs need packages too; None: not looked at.

    Raises:
        BuildError: two models that were saved with different versions of one package, or another version of
            tiffin, or an extra that it has not.
    """
    extras = _extras([each.text for each in needs.wanted if name_of(each.text) == DISTRIBUTION], service)
    own = [each for each in needs.wanted if name_of(each.text) != DISTRIBUTION]
    exact = {name_of(each.text): each for each in own if _EXACT.search(each.text)}
    parts = {
        DISTRIBUTION: [Wanted(line, DISTRIBUTION) for line in sorted(_own_requirements(extras))],
        "the models": _pins(models, set(exact)),
        "the project": own,
    }
    lines = {title: [each.text for each in part] for title, part in parts.items()}
    lines["the project"] = [*needs.options, *lines["the project"]]
    text = "".join(
        f"# for {title}\n" + "".join(f"{line}\n" for line in part) for title, part in lines.items() if part
    )
    return Collected(text, [each for part in parts.values() for each in part], _differences(models, exact))


def model_packages(models: Sequence[ModelInfo]) -> set[str]:
    """Canonical names of the packages that models were saved with."""
    return {canonical(name) for model in models for name in model.versions if name not in _NO_PACKAGES}


def _extras(lines: Sequence[str], service: ServiceSpec | None) -> set[str]:
    """Extras of tiffin that the project's requirements name, and those that its schema needs."""
    found: set[str] = set()
    for line in lines:
        wanted = _OWN_VERSION.search(line)
        own = installed_version(DISTRIBUTION)
        if wanted and not wanted[1].endswith("*") and wanted[1] != own:
            raise BuildError(
                f"requirement {line!r}: the bundle carries the {DISTRIBUTION} that builds it, {own}; "
                "remove the version, or build with that one"
            )
        found |= _named_extras(line)
    for api in service.apis if service is not None else ():
        types = [*api.inputs.values(), api.output]
        found |= {_KINDS[each.kind] for each in types if each.kind in _KINDS}
    return found


def _own_requirements(extras: set[str]) -> list[str]:
    try:
        every = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        raise BuildError(
            f"{DISTRIBUTION} runs from a folder that is not installed, so what it needs is not known: "
            "install it with pip"
        ) from None
    known = {canonical(marker["extra"]) for line in every if (marker := _EXTRA_MARKER.search(line))}
    for extra in sorted(extras - known):  # what it should bring would be missing where it is served
        raise BuildError(
            f"the {DISTRIBUTION} that builds has no extra {extra!r}{nearest(extra, known)}; "
            f"it has {', '.join(sorted(known))}"
        )
    found = [line for line in every if not _EXTRA_MARKER.search(line)]
    pending = sorted(extras)
    while pending:
        extra = pending.pop()
        for line in every:
            marker = _EXTRA_MARKER.search(line)
            if marker is None or canonical(marker["extra"]) != extra:
                continue
            if name_of(line) == DISTRIBUTION:  # an extra that stands for others
                pending += sorted(_named_extras(line))
            else:
                found.append(_EXTRA_MARKER.sub("", line).rstrip())
    return list(dict.fromkeys(found))


def _named_extras(line: str) -> set[str]:
    named = _EXTRAS.match(line)
    return {canonical(extra.strip()) for extra in named[1].split(",") if extra.strip()} if named else set()


def _pins(models: Sequence[ModelInfo], wanted: set[str]) -> list[Wanted]:
    """`scikit-learn==1.4.0` for each package that a model was saved with, but for the `wanted`."""
    pins: dict[str, tuple[str, str]] = {}
    for model in models:
        for package, version in model.versions.items():
            if package in _NO_PACKAGES or canonical(package) in wanted:
                continue
            public, tag = public_version(version), f"{model.name}:{model.version}"
            other, first = pins.setdefault(canonical(package), (public, tag))
            if other != public:
                raise BuildError(
                    f"{first} was saved with {package} {other} and {tag} with {public}: save one of them "
                    f"again, or name the version in bundlefile.yaml: python: {{packages: ['{package}==…']}}"
                )
    return [
        Wanted(f"{package}=={version}", f"model {tag}") for package, (version, tag) in sorted(pins.items())
    ]


def _differences(models: Sequence[ModelInfo], exact: dict[str, Wanted]) -> list[str]:
    """Where the project's version is not the one that a model was saved with: that may not load."""
    notes = []
    for model in models:
        for package, version in model.versions.items():
            wanted = exact.get(canonical(package)) if package not in _NO_PACKAGES else None
            named = _EXACT_VERSION.search(wanted.text) if wanted else None
            if wanted and named and public_version(named[1]) != public_version(version):
                notes.append(
                    f"model {model.name}:{model.version} was saved with {package} {public_version(version)}, "
                    f"and {wanted.where} asks for {named[1]}, which is taken"
                )
    return notes
