"""All that a server's processes have counted, the dead ones included, each event once.

The files of dead processes are folded into one, `retired.json`, so that restarts leave nothing behind:

    {"generation": 7, "folded": [stems], "series": [[family, [label values], [cells]]]}

A fold writes the new file beside the old one, renames it (from that instant the stems it names count
through it and no other way), then removes their files. A reader takes `retired.json`, then every file whose
stem it does not name, then looks whether the generation is still the same; if not, it starts again. So a
scrape and the supervisor never wait for each other, and a fold that is killed half-way has either happened
or not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from . import cells
from .catalog import FAMILIES

RETIRED = "retired.json"
_LOCK = "fold.lock"

Table: TypeAlias = dict[str, dict[tuple[str, ...], list[float]]]
"""Family to label values to cells."""


def read(run_folder: Path) -> Table:
    """Sums (or maximums, as the family says) over all processes of a server.

    Args:
        run_folder: a folder that is gone, or has no metrics yet, gives an empty table.
    """
    folder = cells.folder_of(run_folder)
    while True:  # a second round only after a process died during the first
        retired = _Retired.load(folder)
        table = retired.table()
        for path in _living_and_dead(folder, retired):
            with contextlib.suppress(FileNotFoundError):  # folded by now: the generation tells
                _add(table, *cells.read(path))
        if _Retired.load(folder).generation == retired.generation:
            return table


def retire(run_folder: Path, process: str) -> None:
    """Folds what the ended lives of a process counted into `retired.json`, without their gauges.

    Call it after the process was reaped. A life that still runs, the next one of the name, is left alone.

    Args:
        run_folder: the private folder of this server.
        process: as given to `Metrics.open`.

    Raises:
        OSError: the new file cannot be written; nothing is lost, the next call folds again.
    """
    folder = cells.folder_of(run_folder)
    try:
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except FileNotFoundError:
        return  # nobody has counted anything yet
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fold(folder, cells.stem_prefix(process))
    finally:
        os.close(lock)


@dataclass
class _Retired:
    generation: int = 0
    folded: list[str] = field(default_factory=list)
    series: list[tuple[str, list[str], list[float]]] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> _Retired:
        try:
            return cls(**json.loads((folder / RETIRED).read_bytes()))
        except FileNotFoundError:
            return cls()

    def table(self) -> Table:
        table: Table = {}
        for family, values, numbers in self.series:
            table.setdefault(family, {})[tuple(values)] = numbers
        return table


def _fold(folder: Path, prefix: str) -> None:
    retired = _Retired.load(folder)
    # Left by a fold that was killed before it could remove them; they are counted already.
    leftovers = [stem for stem in retired.folded if (folder / (stem + cells.CELLS)).exists()]
    table = retired.table()
    stems = []
    for path in _living_and_dead(folder, retired):
        if path.name.startswith(prefix):
            dead, series = cells.read(path)
            if dead:
                _add(table, dead, series)
                stems.append(path.name.removesuffix(cells.CELLS))
    if stems:
        _write(folder, retired.generation + 1, leftovers + stems, table)
    for stem in leftovers + stems:
        (folder / (stem + cells.CELLS)).unlink(missing_ok=True)
        (folder / (stem + cells.INDEX)).unlink(missing_ok=True)


def _write(folder: Path, generation: int, folded: list[str], table: Table) -> None:
    series = [(family, values, numbers) for family, rows in table.items() for values, numbers in rows.items()]
    fresh = folder / f".{RETIRED}"
    # No fsync: after a crash of the machine there is no server whose numbers these are.
    fresh.write_text(json.dumps({"generation": generation, "folded": folded, "series": series}))
    fresh.replace(folder / RETIRED)


def _living_and_dead(folder: Path, retired: _Retired) -> list[Path]:
    gone = {stem + cells.CELLS for stem in retired.folded}
    return sorted(path for path in folder.glob(f"[!.]*{cells.CELLS}") if path.name not in gone)


def _add(table: Table, dead: bool, series: list[tuple[str, tuple[str, ...], list[float]]]) -> None:
    for name, values, numbers in series:
        family = FAMILIES[name]
        if dead and family.kind == "gauge":
            continue
        rows = table.setdefault(name, {})
        had = rows.get(values)
        if had is None:
            rows[values] = numbers
        elif family.across == "max":
            rows[values] = [max(pair) for pair in zip(had, numbers, strict=True)]
        else:
            rows[values] = [sum(pair) for pair in zip(had, numbers, strict=True)]
