"""Files that look like a password or a key: `build` refuses them."""

from __future__ import annotations

from collections.abc import Iterator

from ..secrets_scan import find_secrets
from .finding import Finding
from .patient import Patient

NAME = "secrets"


def check(patient: Patient) -> Iterator[Finding]:
    if patient.kind == "file":
        return  # it goes into the store
    allowed = set(patient.wishes.allow_secrets)
    for found in find_secrets(patient.sources):
        if found.path not in allowed:
            yield Finding(
                check=NAME,
                severity="error",
                what=f"{found.path} looks like a secret ({found.what}), and would go into the bundle",
                where=found.path,
                mend=f"echo '{found.path}' >> .bundleignore",
            )
