"""What a file was recognised as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Found:
    """A format of models, or of what is none."""

    path: Path
    what: str
    """For a person, with its article: `an ONNX model`."""
    framework: str = ""
    """Who loads it: an entry point of `tiffin.frameworks`. Empty for a pickle, which tells once it is loaded,
    and for what cannot be served."""
    advice: str = ""
    """What to do with it, when it cannot be served."""
    weights_of: str = ""
    """The framework that takes it after all when `options` name the class of the network."""
    pickle: str = ""
    """What a pickle says to be: `sklearn.ensemble._forest.RandomForestClassifier`, or `something` when it
    does not say. Empty: loading it runs no code of the file."""
    model: bool = True
    """Whether it holds a model, or part of one: a folder with such a file is not served without it."""

    @property
    def servable(self) -> bool:
        return not self.advice
