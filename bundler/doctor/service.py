"""The service of a project must be importable from just the files that its bundle would have."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from .finding import Finding
from .patient import Patient

NAME = "service"


def check(patient: Patient) -> Iterator[Finding]:
    if patient.problem:
        first, _, rest = patient.problem.partition("\n")
        yield Finding(
            check=NAME,
            severity="error",
            what=first + (f"\n{rest}" if rest else ""),
            where=patient.title,
            mend=_mend(patient),
        )


def _mend(patient: Patient) -> str:
    if (
        patient.folder is not None
        and "no model" in patient.problem
        and (patient.folder / "train.py").is_file()
    ):
        return f"cd {quote(str(patient.folder))} && python train.py"
    return f"bundle build {quote(str(patient.folder))}  # says the same; mend the line that it names"
