"""Changes to a source text at the places that its syntax tree names: all the rest stays as it was written."""

from __future__ import annotations

import ast
import json


class Edits:
    """Replacements, made all at once; one that lies inside another is left out.

    Args:
        text: of the file.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._changes: list[tuple[int, int, str]] = []

    def replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        self._changes.append((*self.span(node), text))

    def replace_span(self, start: int, end: int, text: str) -> None:
        self._changes.append((start, end, text))

    def drop_lines(self, first: int, last: int) -> None:
        """Whole lines, from 1 on."""
        self._changes.append((self._starts[first - 1], self._starts[min(last, len(self._lines))], ""))

    def insert_before(self, line: int, text: str) -> None:
        at = self._starts[line - 1]
        self._changes.append((at, at, text))

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        """Offsets in the text; the tree counts columns in bytes of UTF-8."""
        start = self._offset(node.lineno, node.col_offset)
        return start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def source(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def result(self) -> str:
        text, last = "", 0
        for start, end, new in sorted(
            self._changes, key=lambda change: (change[0], change[1] > change[0], -change[1])
        ):
            if start < last:
                continue
            text += self.text[last:start] + new
            last = end
        return text + self.text[last:]

    def _offset(self, line: int, column: int) -> int:
        head = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(head)


def quoted(text: str) -> str:
    """As a literal with double quotes, as formatters write it."""
    return json.dumps(text, ensure_ascii=False)


def documented(text: str) -> str:
    """The first line of a docstring as one."""
    first = text.strip().partition("\n")[0].rstrip("\\")
    return f'"""{first}"""' if not first.endswith('"') and '"""' not in first else quoted(first)
