"""What makes a bundle large without being needed."""

from __future__ import annotations

from collections.abc import Iterator

from ..words import size_words
from .finding import Finding
from .patient import Patient

NAME = "size"
_LARGE_BYTES = 100 * 10**6
_MANY_FILES = 5_000


def check(patient: Patient) -> Iterator[Finding]:
    if patient.kind == "file":
        return  # it goes into the store
    for source in patient.sources:
        if source.size_bytes > _LARGE_BYTES:
            yield Finding(
                check=NAME,
                severity="warning",
                what=f"{source.path} ({size_words(source.size_bytes)}) goes into the bundle as source",
                where=source.path,
                mend=f"echo '{source.path}' >> .bundleignore  # a model belongs into the store: "
                "tiffin.models.save",
            )
    if len(patient.sources) > _MANY_FILES:
        tops: dict[str, int] = {}
        for source in patient.sources:
            top = source.path.partition("/")[0]
            tops[top] = tops.get(top, 0) + 1
        most = max(tops, key=lambda name: tops[name])
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"{len(patient.sources)} files go into the bundle, {tops[most]} of them from {most}",
            where=most,
            mend=f"echo '{most}/' >> .bundleignore",
        )
