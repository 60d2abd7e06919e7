"""What the user says of model files beyond what they say themselves: inputs, classes, a name, a task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import UsageError
from ...runtime.service.options import nearest

TASK_NAMES = (
    "image-classification",
    "object-detection",
    "segmentation",
    "text-classification",
    "tabular",
    "time-series",
    "embedding",
    "audio-classification",
    "ocr",
)
MAX_CLASSES_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """What goes with a model file, or with each file of a folder.

    Of several models each entry begins with the name of the one that it is for: `iris=x:float32[n,4]`.
    """

    inputs: Sequence[str] = ()
    """`x:float32[n,4]`: name, dtype, and a size or a name for each axis, the first for the rows."""
    classes: Sequence[str] = ()
    """Files with the word for each class: one a line, or a JSON list."""
    task: str = ""
    """What the model is for: `image-classification` …; empty: arrays in, arrays out."""
    apart: bool = False
    """Whether each file is read in a process of its own, so that one which ends it ends in an error."""

    def __post_init__(self) -> None:
        if self.task and self.task not in TASK_NAMES:
            raise UsageError(
                f"--task {self.task}: there is none{nearest(self.task, TASK_NAMES)} "
                f"(tasks: {', '.join(TASK_NAMES)})"
            )

    @property
    def given(self) -> bool:
        return bool(self.inputs or self.classes or self.task)

    def of_models(self, names: Sequence[str]) -> Mapping[str, FileOptions]:
        """These, split by model.

        Raises:
            UsageError: an entry is for no model that is there, or does not say for which of several.
        """
        if len(names) == 1:
            return {names[0]: self}
        inputs = self._split("--input", self.inputs, names)
        classes = self._split("--classes", self.classes, names)
        return {name: replace(self, inputs=inputs[name], classes=classes[name]) for name in names}

    @staticmethod
    def _split(option: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in names}
        for text in texts:
            name, equals, rest = text.partition("=")
            if not equals:
                raise UsageError(
                    f"{option} {text}: there are several models, say which: {option} {names[0]}={text}"
                )
            if name not in found:
                raise UsageError(
                    f"{option} {text}: there is no model {name!r}{nearest(name, names)} "
                    f"(models: {', '.join(names)})"
                )
            found[name].append(rest)
        return found


def read_classes(path: Path) -> list[str]:
    """The words of a file: one a line, or a list in JSON.

    Raises:
        UsageError: there is no such file, or it holds no words.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CLASSES_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"--classes {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--classes {path} is no text: give a file with one word a line, or a JSON list"
        ) from error
    if len(text) > MAX_CLASSES_BYTES:
        raise UsageError(f"--classes {path} is larger than {MAX_CLASSES_BYTES} bytes")
    words = _json_words(path, text) if text.lstrip().startswith(("[", "{")) else text.splitlines()
    words = [word.strip() for word in words if word.strip()]
    if not words:
        raise UsageError(f"--classes {path} holds no words: write one a line, in the order of the classes")
    return words


def _json_words(path: Path, text: str) -> list[str]:
    """A list, or the object that some libraries write: `{"0": "cat", "1": "dog"}`."""
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            found = [found[key] for key in sorted(found, key=int)]
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"--classes {path}: neither one word a line nor JSON of the form ['cat', 'dog']: {error}"
        ) from error
    return [str(word) for word in found]
