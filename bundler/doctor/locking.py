"""Without uv, bundles are built without a lock of their requirements."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .patient import Patient

NAME = "uv"


def check(patient: Patient) -> Iterator[Finding]:
    if not patient.machine.uv and patient.kind in {"machine", "folder"}:
        yield Finding(
            check=NAME,
            severity="warning",
            what="uv is not installed: requirements go into bundles without versions and hashes",
            mend="pip install 'tiffin[lock]'",
        )
