"""Is this the Python that the bundle was checked with, and one that tiffin runs on?"""

from __future__ import annotations

from collections.abc import Iterator

from ..python.environment import NEWEST, OLDEST
from .finding import Finding
from .patient import Patient

NAME = "python"


def check(patient: Patient) -> Iterator[Finding]:
    here = ".".join(patient.machine.python.split(".")[:2])
    numbers = tuple(int(part) for part in here.split("."))
    if not OLDEST <= numbers <= NEWEST:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"tiffin is tested with Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, this is "
            f"{patient.machine.python}",
            mend="uv venv --python 3.12 && uv pip install tiffin",
        )
    wanted = patient.bundle.python if patient.bundle is not None else ""
    if wanted and wanted != here:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"the bundle was checked with Python {wanted}, this is {here}: pickles may not load",
            where=patient.title,
            mend=f"uv venv --python {wanted}  # or in an image: bundle containerize {patient.title}",
        )
