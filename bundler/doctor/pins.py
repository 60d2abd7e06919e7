"""Packages without a version: tomorrow's build is another environment."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from .finding import Finding
from .patient import Patient

NAME = "pins"
_SHOWN = 5


def check(patient: Patient) -> Iterator[Finding]:
    if patient.bundle is not None and not patient.bundle.options.get("locked"):
        reason = patient.bundle.options.get("unlocked_because", "")
        yield Finding(
            check=NAME,
            severity="warning",
            what="its requirements are not locked" + (f": {reason}" if reason else ""),
            where=patient.title,
            mend="bundle build --lock",
        )
    if patient.kind != "folder" or patient.folder is None:
        return
    asked = patient.asked
    if asked.problem:
        yield Finding(
            check=NAME,
            severity="error",
            what=f"its requirements cannot be read: {asked.problem}",
            where=asked.source,
            mend=f"mend {asked.source}  # bundle build stops there, too",
        )
    if asked.locked or asked.problem:
        return
    loose = [line for line in asked.lines if line.name and not line.pinned and line.name != "tiffin"]
    if loose:
        names = [f"{line.name} ({line.where})" for line in loose[:_SHOWN]]
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        versions = {
            line.name: patient.machine.packages.get(line.name, "").partition("+")[0] for line in loose
        }
        here = [f"{name}=={version}" for name, version in versions.items() if version]
        # With uv every build is locked, with the versions that are installed here: only a habit, then.
        yield Finding(
            check=NAME,
            severity="note" if patient.machine.uv else "warning",
            what=f"no exact version is named for {', '.join(names)}{more}"
            + ("; bundles are locked all the same" if patient.machine.uv else ""),
            where=loose[0].where,
            mend=f"write {' '.join(here[:_SHOWN])}  # what is installed here"
            if here
            else "pip freeze > requirements.txt",
        )
    if asked.poetry:
        named = ", ".join(f"{line.name} ({line.where})" for line in asked.poetry[:_SHOWN])
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"only Poetry can tell which versions these are, and there is no poetry.lock: {named}; a "
            "bundle gets what its code imports instead",
            where=asked.poetry[0].where,
            mend="poetry lock",
        )
    elif not asked.lines and not asked.source:
        yield Finding(
            check=NAME,
            severity="note",
            what="the project names no packages: a bundle gets those that its code imports",
            where=str(patient.folder),
            mend="pip freeze > requirements.txt  # and keep what the service imports",
        )
    absent = [line for line in asked.lines if line.name and line.name not in patient.machine.packages]
    if absent:
        missing = ", ".join(line.name for line in absent[:_SHOWN])
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"not installed here, so not what the service was tried with: {missing}",
            where=absent[0].where,
            # As it is written: the bare name of one that has an address may be a stranger's on an index.
            mend=f"pip install {' '.join(shlex.quote(line.text) for line in absent)}",
        )
