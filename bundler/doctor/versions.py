"""Versions that differ from those that a model was saved with."""

from __future__ import annotations

from collections.abc import Iterator

from ...runtime.model.versions import PYTHON, TIFFIN, minor
from ..python.needs import canonical
from .finding import Finding
from .patient import Patient

NAME = "versions"


def check(patient: Patient) -> Iterator[Finding]:
    for model in patient.models:
        for name, saved in model.info.versions.items():
            if name in {PYTHON, TIFFIN}:
                continue
            now = patient.machine.packages.get(canonical(name), "")
            if not now:
                yield Finding(
                    check=NAME,
                    severity="error",
                    what=f"{model.tag} needs {name}, which is not installed",
                    where=model.tag,
                    mend=f"pip install '{name}=={_public(saved)}'",
                )
            elif now != saved:
                yield Finding(
                    check=NAME,
                    severity="warning",
                    what=f"{model.tag} was saved with {name} {saved}, here is {now}",
                    where=model.tag,
                    mend=f"pip install '{name}=={_public(saved)}'  # or save the model again",
                )
        python = model.info.versions.get(PYTHON, "")
        if python and model.info.pickled and minor(python) != minor(patient.machine.python):
            yield Finding(
                check=NAME,
                severity="warning",
                what=f"{model.tag} is a pickle of Python {python}, this is {patient.machine.python}",
                where=model.tag,
                mend=f"uv venv --python {minor(python)}  # or save the model again",
            )
        yield from _lock(patient, model.tag, model.info.versions)


def _lock(patient: Patient, tag: str, saved: dict[str, str]) -> Iterator[Finding]:
    """The bundle's image may differ from what the model was saved with: the project names its own version."""
    for name, version in saved.items():
        locked = patient.locked.get(canonical(name), "")
        if locked and _public(locked) != _public(version):
            yield Finding(
                check=NAME,
                severity="warning",
                what=f"{tag} was saved with {name} {version}, the bundle is locked to {locked}",
                where=patient.title,
                mend=f"write {name}=={_public(version)} into the requirements, and build again",
            )


def _public(version: str) -> str:
    """`2.5.1` of `2.5.1+cpu`, which most indexes do not have."""
    return version.partition("+")[0]
