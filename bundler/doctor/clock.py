"""Versions sort by time, tokens and certificates end by it: is the clock right?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from .finding import Finding
from .patient import Patient

NAME = "clock"
_OLDEST_YEAR = 2026
"""This program was written then: an earlier clock is wrong."""
_SLACK = timedelta(minutes=5)


def check(patient: Patient) -> Iterator[Finding]:
    now = patient.machine.now
    if now.year < _OLDEST_YEAR:
        yield Finding(
            check=NAME,
            severity="error",
            what=f"the clock says {now:%Y-%m-%d %H:%M} UTC, which is over: new versions would sort before "
            "old ones",
            mend="sudo timedatectl set-ntp true",
        )
    made = {model.tag: model.info.created for model in patient.models}
    if patient.bundle is not None:
        made[patient.title] = patient.bundle.created
    for tag, created in made.items():
        if (time := _parsed(created)) is not None and time > now + _SLACK:
            yield Finding(
                check=NAME,
                severity="warning",
                what=f"{tag} was made at {time:%Y-%m-%d %H:%M} UTC, and it is {now:%Y-%m-%d %H:%M}: this "
                "clock or that one is wrong",
                where=tag,
                mend="sudo timedatectl set-ntp true",
            )


def _parsed(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
