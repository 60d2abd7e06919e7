"""Tab after `%bundle`: commands, options, tags, classes of the notebook, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from IPython.core.completer import CompletionContext

    from .session import Session

_TARGETS = {"build", "serve"}
_SERVERS = {"stop", "logs"}
_LINE = re.compile(r"\s*(\w+\s*=\s*)?(?P<signs>%%?)bundle\s(?P<rest>.*)")


class Completion:
    """A matcher of IPython's completer (its API 2, of IPython 8.6)."""

    matcher_api_version = 2
    matcher_identifier = "tiffin"
    matcher_priority = 200.0
    """Before all others: they complete Python."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.__qualname__ = type(self).__qualname__  # IPython takes matchers for functions

    def __call__(self, context: CompletionContext) -> dict[str, Any]:
        """IPython's `SimpleMatcherResult`: nothing but on a line of ours, and on one of ours nothing else."""
        from IPython.core.completer import SimpleCompletion

        line = _LINE.fullmatch(context.text_until_cursor)
        if line is None:
            return {"completions": []}
        words = line["rest"].split()
        word = words.pop() if line["rest"][-1:].strip() else ""
        found = self._cell(words) if line["signs"] == "%%" else self._command(words, word)
        return {
            "completions": [SimpleCompletion(each, type="magic") for each in found if each.startswith(word)],
            "matched_fragment": word,
            "suppress": True,
            "ordered": True,
        }

    def _cell(self, words: list[str]) -> list[str]:
        return ["--name", *self._session.services.classes()] if words else ["service"]

    def _command(self, words: list[str], word: str) -> list[str]:
        from click.shell_completion import ShellComplete

        from .magic import commands

        asked = ShellComplete(commands, {"obj": self._session}, "%bundle", "")
        found = [text for item in asked.get_completions(words, word) for text in _texts(item)]
        if word.startswith("-"):
            return found
        if words[:1] and words[0] in _TARGETS:
            return [*self._session.services.classes(), *found]
        if words[:1] and words[0] in _SERVERS:
            return [one.label for one in self._session.servers]
        return found


def _texts(item: CompletionItem) -> list[str]:
    """A shell completes files itself; IPython does not once somebody has answered."""
    if item.type == "plain":
        return [str(item.value)]
    folder, _, begin = item.value.rpartition("/")
    inside = f"{folder}/" if item.value.startswith("/") or folder else ""
    paths = sorted(path for path in Path(inside).glob("*") if path.name.startswith(begin))
    return [
        f"{path}/" if path.is_dir() else str(path) for path in paths if item.type == "file" or path.is_dir()
    ]
