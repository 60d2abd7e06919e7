"""Brings the rows `cuda` of `data/images.json` in line with the tags that a registry has.

    python -m tiffin.bundler.image.make_tags
    python -m tiffin.bundler.image.make_tags http://127.0.0.1:5000

Rows whose tags are all there stay as they are, with their evidence. New tags become rows whose evidence is
the registry and the day; tags that are gone leave the table. Nothing of this runs when a bundle is built.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from ...errors import ImageError
from .cuda_table import IMAGES, ImageRow, images, minor, numbers, own_driver
from .cuda_tags import REPOSITORY, every_tag
from .registry import DOCKER_HUB, Repository, TagFacts

SOURCE = "registry"
"""Name of the evidence of new rows, in `sources`."""
_TAG = re.compile(
    r"(?P<release>\d+\.\d+\.\d+)-(?P<flavor>base|runtime|devel|cudnn\d*-(?:runtime|devel))-"
    r"(?P<distro>ubuntu\d\d\.\d\d|ubi\d+)"
)
_ARCHITECTURES = ("amd64", "arm64")
_MOST_GONE = 0.2
"""Share of the table's tags that may be gone at once; more is a list that was cut short."""

Look = Callable[[str], TagFacts]
Found = Mapping[str, Mapping[str, frozenset[str]]]
"""Release to distribution to flavors."""


def main(registry: str = DOCKER_HUB) -> int:
    repository = Repository(REPOSITORY, registry)
    table = json.loads(IMAGES.read_text(encoding="utf-8"))
    try:
        rows = merged(images().cuda, repository.tags(), repository.facts)
    except ImageError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    before = set(every_tag())
    table["cuda"] = [msgspec.to_builtins(row) for row in rows]
    day = datetime.now(timezone.utc).date().isoformat()
    note = f"{repository.address}/tags/list, read {day}; platforms and cuDNN from the tags' manifests"
    table["sources"] = _cited({**table["sources"], SOURCE: note}, table)
    Path(str(IMAGES)).write_text(dumped(table), encoding="utf-8")
    images.cache_clear()
    _report(before, set(every_tag()))
    return 0


def merged(known: Sequence[ImageRow], tags: Iterable[str], look: Look) -> list[ImageRow]:
    """The rows for the tags that there are, newest release first.

    Args:
        known: rows of the table.
        tags: of the registry; those of other forms than ours are passed over.
        look: what is behind a tag; asked once for each new row.

    Raises:
        ImageError: so much of the table is gone that the list cannot be whole, or a tag is not what its name
            says.
    """
    found = _parsed(tags)
    every = {tag for row in known for tag in _tags(row)}
    gone = [tag for tag in every if not _is_there(tag, found)]
    if len(gone) > _MOST_GONE * len(every):
        raise ImageError(
            f"{len(gone)} of the {len(every)} tags of the table are not in the registry's list: it is cut "
            f"short, or of another repository than {REPOSITORY}"
        )
    rows = [row for row in known if all(_is_there(tag, found) for tag in _tags(row))]
    covered = {tag for row in rows for tag in _tags(row)}
    for release, distros in found.items():
        left = {
            distro: frozenset(each for each in flavors if f"{release}-{each}-{distro}" not in covered)
            for distro, flavors in distros.items()
        }
        rows += _new_rows(release, {distro: flavors for distro, flavors in left.items() if flavors}, look)
    rows.sort(
        key=lambda row: [-part for part in numbers(row.release)]
    )  # within one as they are, new ones last
    return _mended(rows)


def dumped(table: Mapping[str, Any]) -> str:
    """A row a line, so that a change of the table can be read."""
    parts = []
    for name, content in table.items():
        if isinstance(content, dict):
            lines = [f"  {_line(key)}: {_line(value)}" for key, value in content.items()]
        else:
            lines = [f"  {_line(row)}" for row in content]
        left, right = "{}" if isinstance(content, dict) else "[]"
        parts.append(f' "{name}": {left}\n' + ",\n".join(lines) + f"\n {right}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parsed(tags: Iterable[str]) -> Found:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for tag in tags:
        if match := _TAG.fullmatch(tag):
            found[match["release"]][match["distro"]].add(match["flavor"])
    return {
        release: {distro: frozenset(flavors) for distro, flavors in distros.items()}
        for release, distros in found.items()
    }


def _tags(row: ImageRow) -> list[str]:
    return [f"{row.release}-{flavor}-{distro}" for flavor in row.flavors for distro in row.distros]


def _is_there(tag: str, found: Found) -> bool:
    match = _TAG.fullmatch(tag)
    return match is not None and match["flavor"] in found.get(match["release"], {}).get(match["distro"], ())


def _new_rows(release: str, left: Mapping[str, frozenset[str]], look: Look) -> list[ImageRow]:
    """A row for each set of flavors: every flavor of a row exists on each of its distributions."""
    groups: dict[frozenset[str], list[str]] = defaultdict(list)
    for distro in sorted(left, key=_distro_order):
        groups[left[distro]].append(distro)
    rows = []
    for flavors, distros in groups.items():
        ordered = sorted(flavors, key=_flavor_order)
        of_all = look(f"{release}-{ordered[-1]}-{distros[0]}")  # one with cuDNN, where there is one
        machines = [each for each in _ARCHITECTURES if f"linux/{each}" in of_all.platforms]
        if not machines:
            raise ImageError(
                f"{release}-{ordered[-1]}-{distros[0]} is for {', '.join(of_all.platforms)} only"
            )
        rows.append(
            ImageRow(
                release=release,
                distros=distros,
                flavors=ordered,
                cudnn=_cudnn(ordered, of_all),
                platforms=machines,
                supported=True,
                source=SOURCE,
            )
        )
    return rows


def _cudnn(flavors: Sequence[str], facts: TagFacts) -> int:
    """Major version: from the name of the flavor, `cudnn8-runtime`, else from the image's own variable."""
    with_it = [flavor for flavor in flavors if flavor.startswith("cudnn")]
    if not with_it:
        return 0
    told = re.findall(r"\d+", with_it[0]) or re.findall(r"\d+", facts.env.get("NV_CUDNN_VERSION", ""))
    if not told:
        raise ImageError(f"an image with {with_it[0]} does not say which cuDNN it has (NV_CUDNN_VERSION)")
    return int(told[0])


def _mended(rows: Sequence[ImageRow]) -> list[ImageRow]:
    """NVIDIA mends the last update of a release, so a new one ends that of those before it."""
    new = {minor(row.release) for row in rows if row.source == SOURCE}
    last = {
        name: max((row.release for row in rows if minor(row.release) == name), key=numbers) for name in new
    }
    return [
        msgspec.structs.replace(row, supported=row.supported and row.release == last[minor(row.release)])
        if minor(row.release) in last
        else row
        for row in rows
    ]


def _distro_order(distro: str) -> tuple[bool, list[int]]:
    """`ubuntu24.04`, `ubuntu22.04`, `ubi9`, `ubi8`"""
    return distro.startswith("ubi"), [-number for number in numbers(distro)]


def _flavor_order(flavor: str) -> tuple[bool, int]:
    return "cudnn" in flavor, ("base", "runtime", "devel").index(flavor.rpartition("-")[2])


def _cited(sources: Mapping[str, str], table: Mapping[str, Any]) -> dict[str, str]:
    """Evidence that a row still names."""
    rows = [row for content in table.values() if isinstance(content, list) for row in content]
    named = {name for row in rows for name in row["source"].split(", ")}
    return {name: text for name, text in sources.items() if name in named}


def _report(before: set[str], after: set[str]) -> None:
    for sign, tags in (("+", after - before), ("-", before - after)):
        for tag in sorted(tags):
            sys.stderr.write(f"{sign} {tag}\n")
    for release in sorted({minor(row.release) for row in images().cuda}, key=numbers):
        if not own_driver(release):
            sys.stderr.write(
                f"CUDA {release} has no row in `drivers`: docs/13-cuda.md says where to read it\n"
            )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
