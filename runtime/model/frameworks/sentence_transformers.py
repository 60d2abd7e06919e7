"""Encoders and cross-encoders of sentence-transformers: their own folder, with safetensors. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MissingDependencyError, ModelError
from ...manifest import MethodSpec, ModelInfo
from .. import torch_call
from ..example import Example
from ..framework import Native, Saved, check_options, has_class_of
from ..hub_folder import WEIGHTS, check_safe, copy_safe, quiet
from ..signature import describe_call
from ..versions import versions_of

_KINDS = ("SentenceTransformer", "CrossEncoder", "SparseEncoder")


class SentenceTransformersFramework:
    """`SentenceTransformer`, `SparseEncoder` (texts to vectors), `CrossEncoder` (pairs of texts to scores).

    Option `kind`, for a folder: the name of the class, when it is not `SentenceTransformer`.
    """

    name = "sentence_transformers"
    extra = "sentence-transformers"
    mapped: tuple[str, ...] = (WEIGHTS,)

    def matches(self, obj: Any) -> bool:
        return has_class_of(obj, "sentence_transformers") and bool(_kind(obj))

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        check_options(options, {"kind"}, "a model of sentence-transformers")
        if not isinstance(obj, Path):
            if options:
                raise ModelError("options kind is for a folder; a model tells its class itself")
            return obj
        kind = options.get("kind", _KINDS[0])
        if kind not in _KINDS:
            raise ModelError(f"options kind {kind!r}: use {', '.join(_KINDS)}")
        check_safe(obj)
        return Native(obj, _read(obj, kind, "cpu"))

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:  # noqa: ARG002 - `prepare` took them
        model = obj.model if isinstance(obj, Native) else obj
        if isinstance(obj, Native):
            copy_safe(obj.path, folder)
        else:
            with quiet("transformers"):
                # A card of the model would be written with the date and what was read from the network.
                model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
        names = ["sentence-transformers", "transformers", "torch", "tokenizers", "safetensors", "numpy"]
        return Saved(options={"kind": _kind(model)}, versions=versions_of(names))

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        return _read(folder, info.options["kind"], device)

    def methods(self, obj: Any) -> list[str]:
        if _kind(obj) == "CrossEncoder":
            return ["predict"]
        # The two differ from `encode` by a prompt, which a model may have for each.
        return [name for name in ("encode", "encode_query", "encode_document") if hasattr(obj, name)]

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        rows = _rows(args[0])
        function = getattr(obj, method)
        with quiet("transformers"):
            found = function(
                rows, *args[1:], **{"batch_size": len(rows) or 1, "show_progress_bar": False, **kwargs}
            )
        if hasattr(found, "detach"):  # a sparse encoder's
            found = found.detach().to_dense().float().cpu().numpy()
        return found

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        if example is None:
            return MethodSpec()
        named = _pairs if method == "predict" else _texts
        return describe_call(named, example, self.call(obj, method, *example.args, **example.kwargs))


def _texts(texts: Any, **options: Any) -> None:
    """Names of the parameters, for the signature."""


def _pairs(pairs: Any, **options: Any) -> None:
    """Names of the parameters, for the signature."""


def _rows(value: Any) -> list[Any]:
    """Texts, or pairs of them: JSON and arrays know no tuples."""
    rows = value.tolist() if hasattr(value, "tolist") else list(value)
    return [tuple(row) if isinstance(row, list) else row for row in rows]


def _kind(obj: Any) -> str:
    names = {cls.__qualname__ for cls in type(obj).__mro__}
    return next((kind for kind in _KINDS if kind in names), "")


def _read(folder: Path, kind: str, device: str) -> Any:
    place = str(torch_call.best_device(device))
    try:
        import sentence_transformers
    except ImportError as error:
        raise MissingDependencyError("sentence-transformers", "sentence-transformers") from error
    if kind not in _KINDS:
        raise ModelError(f"{folder} says that it is a {kind!r}: it was not made by this tiffin")
    with quiet("transformers"):
        model = getattr(sentence_transformers, kind)(
            str(folder), device=place, trust_remote_code=False, local_files_only=True
        )
    return model.eval()
