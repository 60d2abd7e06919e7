"""Tables on the terminal and as markdown, raw figures in `benchmarks/results/`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"


class Report:
    """Prints as it goes, and keeps the same as markdown for the file beside the raw figures."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces: list[str] = []
        self.lines([f"{key}: {value}" for key, value in machine().items()])

    def section(self, title: str) -> None:
        print(f"\n== {title}")
        self.pieces.append(f"\n## {title}\n")

    def table(self, head: list[str], rows: list[list[str]], left: int = 1) -> None:
        table(head, rows, left)
        marks = [*["---"] * left, *["---:"] * (len(head) - left)]
        self.pieces += ["| " + " | ".join(row) + " |" for row in [head, marks, *rows]]

    def lines(self, lines: list[str]) -> None:
        for line in lines:
            print(line)
        self.pieces += ["", *(f"- {line}" for line in lines)]

    def keep(self, figures: dict[str, Any]) -> None:
        """Raw figures as JSON, the tables as markdown with the same name."""
        keep(self.name, figures, markdown="\n".join(self.pieces) + "\n")


def table(head: list[str], rows: list[list[str]], left: int = 1) -> None:
    """The first `left` columns to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def keep(name: str, figures: dict[str, Any], markdown: str = "") -> None:
    """Writes every single measurement beside the machine it was made on, and `markdown` if there is any."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=1))
    if markdown:
        path.with_suffix(".md").write_text(markdown)
    print(f"raw figures: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
