"""spaCy pipelines, in the folders that spaCy itself writes. Texts in, documents as plain structures out."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ....errors import InvalidInputError, MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from ..device import kind_and_number
from ..example import Example
from ..framework import Native, Saved, check_options, copy_folder, has_class_of, model_of
from ..pickles import check_pickle
from ..signature import describe_call
from ..versions import distributions_of, versions_of

_FOLDER = "pipeline"
_LANGUAGE = "spacy.language:Language"
_TOKEN_WORDS = {"lemma": "LEMMA", "pos": "POS", "tag": "TAG", "dep": "DEP", "morph": "MORPH"}
"""Key of a token → the annotation that must be there."""


class SpacyFramework:
    """`spacy.Language`: trained or blank pipelines, with components of any package."""

    name = "spacy"
    extra = "spacy"
    mapped: tuple[str, ...] = ()

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, _LANGUAGE)

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"imports"}, "a spaCy pipeline")
        _import(options.get("imports", ()))
        if isinstance(obj, Path):
            return Native(obj.resolve(), _read(obj))
        return obj

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        nlp, imports = model_of(obj), [*options.get("imports", ())]
        if isinstance(obj, Native):
            copy_folder(obj.path, folder / _FOLDER)
        else:
            nlp.to_disk(folder / _FOLDER)
        modules = {type(pipe).__module__.partition(".")[0] for _, pipe in nlp.pipeline} - {
            "spacy",
            "__main__",
        }
        return Saved(
            options={"imports": imports} if imports else {},
            pickled=_holds_torch(nlp),
            versions=versions_of(
                ["spacy", "thinc", "numpy", *(distributions_of(modules) if modules else [])]
            ),
        )

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        if info.pickled:
            check_pickle(info)
        spacy = _spacy()
        _place(spacy, device)
        _import(info.options.get("imports", ()))
        nlp = _read(folder / _FOLDER)
        if _holds_torch(nlp):
            check_pickle(info)
        return nlp

    def methods(self, obj: Any) -> list[str]:  # noqa: ARG002 - the same for every pipeline
        return ["predict"]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - there is one
        return predict(obj, *args, **kwargs)

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        tried = example or Example(args=(["This is a text.", "And this is another one."],))
        result = self.call(obj, method, *tried.args, **tried.kwargs)

        def signature(texts: Any, disable: Any = ()) -> None: ...

        return describe_call(signature, tried, result)


def predict(nlp: Any, texts: Any, *, disable: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What the pipeline finds in each text.

    Args:
        texts: list of texts, or an array of them.
        disable: components to leave out.

    Returns:
        One dict a text, with what the pipeline's components make, positions in characters: `entities`
        [{text, label, start, end}], `categories` {label: score}, `sentences` [{start, end}], `spans` {key:
        [{text, label, start, end}]}, and always `tokens` [{text, start, end, and lemma, pos, tag, dep, head,
        morph where they are set}]; `head` is the index of a token.
    """
    rows = texts.tolist() if hasattr(texts, "tolist") else texts
    if not isinstance(rows, (list, tuple)) or not all(isinstance(text, str) for text in rows):
        raise InvalidInputError("a spaCy model takes a list of texts")
    made = {
        what for name in nlp.pipe_names if name not in disable for what in nlp.get_pipe_meta(name).assigns
    }
    return [_plain(doc, made) for doc in nlp.pipe(rows, disable=[*disable])]


def _plain(doc: Any, made: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "doc.ents" in made or doc.ents:
        found["entities"] = [_span(span) for span in doc.ents]
    if "doc.cats" in made or doc.cats:
        found["categories"] = {label: float(score) for label, score in doc.cats.items()}
    if "doc.sents" in made or "token.is_sent_start" in made or doc.has_annotation("SENT_START"):
        found["sentences"] = [{"start": span.start_char, "end": span.end_char} for span in doc.sents]
    if doc.spans:
        found["spans"] = {key: [_span(span) for span in group] for key, group in doc.spans.items()}
    words = [key for key, annotation in _TOKEN_WORDS.items() if doc.has_annotation(annotation)]
    found["tokens"] = [_token(token, words) for token in doc]
    return found


def _span(span: Any) -> dict[str, Any]:
    return {"text": span.text, "label": span.label_, "start": span.start_char, "end": span.end_char}


def _token(token: Any, words: Sequence[str]) -> dict[str, Any]:
    found = {"text": token.text, "start": token.idx, "end": token.idx + len(token)}
    for word in words:
        found[word] = str(token.morph) if word == "morph" else getattr(token, f"{word}_")
    if "dep" in words:
        found["head"] = token.head.i
    return found


def _read(path: Path) -> Any:
    """A pipeline from its folder.

    Raises:
        ModelError: it is no such folder, or a component's code is not imported.
    """
    spacy = _spacy()
    if not (path / "config.cfg").is_file():
        raise ModelError(f"{path} is no folder of a spaCy pipeline: it has no config.cfg")
    try:
        return spacy.load(path)
    except Exception as error:  # components raise anything
        hint = ""
        if "[E002]" in str(error) or "[E893]" in str(error):
            hint = "; name the module that registers it: options={'imports': ['my_components']}"
        raise ModelError(f"{path} cannot be loaded by spaCy: {error}{hint}") from error


def _import(modules: Any) -> None:
    """Modules that register components, factories and architectures when they are imported."""
    if isinstance(modules, str):
        raise ModelError("options imports= is a list of modules, ['my_components']")
    try:
        for name in modules:
            import_module(name)
    except ImportError as error:
        raise ModelError(f"options imports={[*modules]!r}: {error}; run where it can be imported") from error


def _place(spacy: Any, device: str) -> None:
    """spaCy has one device a process.

    Raises:
        ModelError: it is not here.
    """
    kind, number = kind_and_number(device)
    if kind == "cpu":
        spacy.require_cpu()
    elif kind == "auto":
        spacy.prefer_gpu()
    else:
        try:
            spacy.require_gpu(number)
        except ValueError as error:
            raise ModelError(f"device {device!r} is not here: {error}") from error


def _holds_torch(nlp: Any) -> bool:
    """Whether a component's weights are torch's, which thinc keeps as a pickle."""
    models: list[Any] = [getattr(pipe, "model", None) for _, pipe in nlp.pipeline]
    return any(node.shims for model in models if hasattr(model, "walk") for node in model.walk())


def _spacy() -> Any:
    try:
        import spacy
    except ImportError as error:
        raise MissingDependencyError("spacy", "spacy") from error
    return spacy
