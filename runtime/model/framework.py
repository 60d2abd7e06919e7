"""What a framework must do, and how the right one is found. A new one is a new file and an entry point."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from ...errors import ModelError
from ..digest import hash_stream
from ..manifest import MethodSpec, ModelInfo
from .example import Example

GROUP = "tiffin.frameworks"


@dataclass(frozen=True)
class Saved:
    """What `Framework.save` did."""

    options: dict[str, Any] = field(default_factory=dict)
    """What `load` needs to know; only what JSON can hold."""
    pickled: bool = False
    """True when loading runs code from the files."""
    versions: dict[str, str] = field(default_factory=dict)
    """Distribution to version, of all that loading imports."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files to take as they are: path in the model to where it lies now; the store copies them."""


@dataclass(frozen=True)
class Native:
    """A model in files of its framework's own format: `save` copies them as they are."""

    path: Path
    """A file or folder."""
    model: Any
    """Read from there, on the CPU: what is described."""


class Framework(Protocol):
    """Saves, loads, calls and describes the models of one library.

    Attributes:
        name: name of the entry point; written to model.yaml.
        extra: extra of `tiffin` that installs the library; empty when there is none.
        mapped: files that `load` maps on a CPU, so that processes with the same model share their pages:
            names or patterns, `*.safetensors`.
    """

    name: str
    extra: str
    mapped: tuple[str, ...]

    def matches(self, obj: Any) -> bool:
        """Whether this object is one of this library's; must not import the library."""

    def prepare(self, obj: Any, options: dict[str, Any]) -> Any:
        """What is described and saved in place of `obj`: the module that a state dict belongs to.

        Given a `pathlib.Path` of the framework's own format it gives a `Native`; only `save` ever sees that,
        all other methods its `model`.

        Raises:
            ModelError: such options, or such files, are not this framework's.
        """

    def save(self, obj: Any, folder: Path, options: dict[str, Any]) -> Saved:
        """Writes the model into an empty folder.

        Args:
            obj: what `prepare` gave.
            folder: on the store's file system.
            options: the user's; unknown keys are a `UsageError`.
        """

    def load(self, folder: Path, info: ModelInfo, device: str) -> Any:
        """Reads the model back, ready to be called.

        Args:
            folder: its files, verified by the caller.
            info: its manifest.
            device: `auto`, `cpu`, `cuda`, `cuda:1` …
        """

    def methods(self, obj: Any) -> list[str]:
        """Methods that take a batch, the default first."""

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """One inference: arrays in, arrays (or what the model gives) out, on the CPU."""

    def describe(self, obj: Any, method: str, example: Example | None) -> MethodSpec:
        """Signature of one method, by running the example; without one, what is known of it anyway."""


# In this order: wrappers of other libraries are scikit-learn estimators too, and every object can be
# cloudpickled.
_BUILT_IN = {
    "transformers": ("transformers", "TransformersFramework"),
    "sentence_transformers": ("sentence_transformers", "SentenceTransformersFramework"),
    "torch_export": ("torch_export", "TorchExportFramework"),
    "torchscript": ("torchscript", "TorchScriptFramework"),
    "keras": ("keras", "KerasFramework"),
    "diffusers": ("diffusers", "DiffusersFramework"),
    "fastai": ("fastai", "FastaiFramework"),
    "tensorflow": ("tensorflow", "TensorFlowFramework"),
    "jax": ("jax", "JaxFramework"),
    "flax": ("flax", "FlaxFramework"),
    "lightning": ("lightning", "LightningFramework"),
    "torch": ("torch", "TorchFramework"),
    "onnx": ("onnx", "OnnxFramework"),
    "xgboost": ("xgboost", "XGBoostFramework"),
    "lightgbm": ("lightgbm", "LightGBMFramework"),
    "catboost": ("catboost", "CatBoostFramework"),
    "statsmodels": ("statsmodels", "StatsmodelsFramework"),
    "spacy": ("spacy", "SpacyFramework"),
    "openvino": ("openvino", "OpenVinoFramework"),
    "mlflow": ("mlflow", "MlflowFramework"),
    "sklearn": ("sklearn", "SklearnFramework"),
    "skops": ("skops", "SkopsFramework"),
    "cloudpickle": ("cloudpickle", "CloudpickleFramework"),
}
ANYTHING = "cloudpickle"
"""The one that is asked last, and takes every object."""


@cache
def frameworks() -> dict[str, Framework]:
    """Every framework by name, in the order in which they are asked: plug-ins first, cloudpickle last."""
    found: dict[str, Framework] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name not in _BUILT_IN:
            found[point.name] = point.load()()
    for name in _BUILT_IN:
        found[name] = _built_in(name)
    return found


def framework(name: str) -> Framework:
    """The framework of that name; a built-in one is found without reading entry points.

    Raises:
        ModelError: there is none.
    """
    if name in _BUILT_IN:
        return _built_in(name)
    try:
        return frameworks()[name]
    except KeyError:
        raise ModelError(
            f"no framework {name!r}; there are {', '.join(frameworks())}; "
            f"another one comes with the package that registers the entry point {name!r} in {GROUP!r}"
        ) from None


def framework_for(obj: Any) -> Framework:
    """The first framework that says the object is its own."""
    return next(found for found in frameworks().values() if found.matches(obj))


def shared_bytes(info: ModelInfo) -> int:
    """Bytes of a model's weights that workers on the CPU hold once, however many they are.

    Raises:
        ModelError: nothing here knows its framework.
    """
    mapped = framework(info.framework).mapped
    return sum(file.size_bytes for file in info.files if any(fnmatchcase(file.path, one) for one in mapped))


def model_of(prepared: Any) -> Any:
    """The model in what `Framework.prepare` gave."""
    return prepared.model if isinstance(prepared, Native) else prepared


def copy_file(source: Path, target: Path) -> None:
    """A file of the framework's own format, into the folder of the model.

    Raises:
        ModelError: it is no file.
    """
    if not source.is_file():
        raise ModelError(f"{source} is no file: give the path of the model's file")
    _copy(source, target)


def copy_folder(source: Path, folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """All files of a folder of the framework's own format, into the folder of the model.

    What links lead to is copied: caches of downloads are made of links. Names that begin with a dot stay
    away.

    Args:
        leave_out: patterns of names that stay away, too.

    Raises:
        ModelError: it is no folder.
    """
    if not source.is_dir():
        raise ModelError(f"{source} is no folder: give the folder of the model's files")
    ignored = shutil.ignore_patterns(".*", "__pycache__", *leave_out)
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=ignored, copy_function=_copy)


@dataclass(frozen=True)
class Copied:
    """What is known of a file that was copied."""

    sha256: str
    size_bytes: int
    written_ns: int
    """Its time of modification; another one means other bytes."""


def copied_files() -> dict[Path, Copied]:
    """What this thread has copied since it asked last, by where it went: nobody needs to read it again."""
    found: dict[Path, Copied] = getattr(_thread, "copied", {})
    _thread.copied = {}
    return found


_thread = threading.local()


def _copy(source: str | Path, target: str | Path) -> str:
    """Reads a file once, to copy and to hash it."""
    with Path(source).open("rb", buffering=0) as reader, Path(target).open("wb") as writer:
        digest, size = hash_stream(reader, writer)
    copied = Copied(digest, size, Path(target).stat().st_mtime_ns)
    _thread.__dict__.setdefault("copied", {})[Path(target)] = copied
    return str(target)


def has_class_of(obj: Any, *paths: str) -> bool:
    """Whether the class of `obj` or one it inherits from is at `module:QualName`, told without an import.

    `sklearn` alone means any class of that package.
    """
    for cls in type(obj).__mro__:
        for path in paths:
            module, colon, name = path.partition(":")
            if colon and cls.__module__ == module and cls.__qualname__ == name:
                return True
            if not colon and cls.__module__.partition(".")[0] == module:
                return True
    return False


def check_options(options: dict[str, Any], known: set[str], what: str) -> None:
    """Refuses options that do nothing.

    Raises:
        ModelError: names the unknown and the known ones.
    """
    for name in options:
        if name not in known:
            allowed = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise ModelError(f"options={{{name!r}: …}} means nothing for {what}; {allowed}")


@cache
def _built_in(name: str) -> Framework:
    from importlib import import_module

    module, cls = _BUILT_IN[name]
    made: Framework = getattr(import_module(f".frameworks.{module}", __package__), cls)()
    return made
