"""Tab after `%bundle`: commands, options, tags, classes of the notebook, files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from .session import Session

_TARGETS = {"build", "serve"}
_SERVERS = {"stop", "logs"}


class Completion:
    """What IPython asks when a line begins with `%bundle`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, event: Any) -> list[str]:
        """
        Args:
            event: has `text_until_cursor`, and `symbol`: the end of it that IPython will replace.
        """
        words = event.text_until_cursor.split()
        word = "" if event.text_until_cursor[-1:].isspace() else words.pop()
        if words[:1] == ["%%bundle"]:
            found = ["service"] if len(words) == 1 else ["--name"]
        else:
            found = self._command(words[1:], word)
        # IPython splits words at colons, too: of `iris:6f` it replaces `6f`.
        known = word[: len(word) - len(event.symbol)]
        return [each.removeprefix(known) for each in found if each.startswith(word)]

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
