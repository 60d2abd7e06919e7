"""What a check found: one thing, where it is, and the command that mends it."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    check: str
    """Name of the check: `cuda`, `memory` …"""
    severity: Severity
    """`error`: it will not work; `warning`: it will bite some day; `note`: good to know."""
    what: str
    """A sentence."""
    where: str = ""
    """File and line, tag, package or path; empty: the machine."""
    mend: str = ""
    """What to type or to write; `  # …` is a remark."""


class Report(msgspec.Struct, kw_only=True, frozen=True):
    target: str
    """What was looked at: `this machine`, a folder, a tag."""
    kind: str
    """`machine`, `folder`, `bundle`, `model` or `file`."""
    findings: list[Finding]
    """Errors first."""
    checks: list[str]
    """Names of the checks that were made."""
    skipped: dict[str, str]
    """Check to the reason why it could not be made."""
    seconds: float

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)
