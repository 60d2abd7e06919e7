"""Objects of a session that have no source: pickled, by value, within bounds."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BuildError, ModelError
from ...runtime.captured import FACTS_FILE, FOLDER, CapturedFacts, named
from ...runtime.captured import runner as rebuilt_runner
from ...runtime.model.framework import framework_for
from ...runtime.model.pickles import explained, refuse_bound
from ...runtime.model.process_bound import stream_name
from ...runtime.model.versions import distributions_of, here, versions_of
from ...runtime.service.runner import Runner
from ...runtime.service.service import INFO, ServiceInfo
from ..words import size_words
from .training import runner_words

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 16 * 2**20
"""Of one object; a service that needs more of it needs a model."""
_METHODS = ("predict", "fit", "transform", "forward")


def is_model(obj: Any) -> bool:
    """Whether an object is a model of a framework, with something learned."""
    if isinstance(obj, type) or framework_for(obj).name == "cloudpickle":
        return False
    if not callable(obj) and not any(hasattr(obj, method) for method in _METHODS):
        return False  # a data set of scikit-learn's
    state = getattr(obj, "state_dict", None)
    if callable(state) and not state():
        return False  # a layer without weights
    if type(obj).__module__.partition(".")[0] == "sklearn":
        return any(name.endswith("_") and not name.startswith("_") for name in vars(obj)) or hasattr(
            obj, "steps"
        )
    return True


def model_words(name: str, obj: Any, chain: str, saved_as: str = "") -> str:
    """Why an object cannot go along, and what to do."""
    return (
        f"{chain}: {name} is a model ({type(obj).__name__}), and models go into the store, where workers "
        f"share them.\n{runner_words(name, saved_as)}"
    )


class Values:
    """Pickles objects into the folder of a module.

    Args:
        folder: of the module.
        module: its name.
        namespace: of the session.
    """

    def __init__(self, folder: Path, module: str, namespace: Mapping[str, Any]) -> None:
        self._folder = folder / FOLDER
        self._module = module
        self._namespace = namespace
        self._services: dict[str, dict[str, Any]] = {}
        self.modules: set[str] = set()
        """Modules that the pickles import."""
        self.sizes: dict[str, int] = {}
        """Name to the bytes of its pickle."""
        self.kinds: dict[str, str] = {}
        """Name to the class of the object."""
        self.versions: dict[str, str] = {}

    def add(self, name: str, *, sourced: Collection[str]) -> None:
        """
        Args:
            name: of a global.
            sourced: names that the module has bound when it reads this one.

        Raises:
            BuildError: it is or holds a model, it is too large, or cannot be pickled.
        """
        obj = self._namespace[name]
        refer = {
            id(self._namespace[each]): each for each in sourced if each != name and each in self._namespace
        }
        buffer = io.BytesIO()
        with self._bare(name, obj):
            pickler = _pickler(buffer, name, self._module, refer, self.modules)
            try:
                with explained(obj, name):
                    pickler.dump(obj)
            except ModelError as error:
                raise BuildError(f"{name} has no source that could be run again: {error}") from error
        data = buffer.getvalue()
        if len(data) > MAX_BYTES:
            raise BuildError(
                f"{name} ({type(obj).__name__}) has no source that could be run again, and by value it is "
                f"{size_words(len(data))}, more than {size_words(MAX_BYTES)}: save it with "
                f"tiffin.models.save({name!r}, …) and load it in a runner, or write a function that reads it"
            )
        self._folder.mkdir(exist_ok=True)
        (self._folder / f"{name}.pkl").write_bytes(data)
        self.sizes[name] = len(data)
        self.kinds[name] = "class" if isinstance(obj, type) else type(obj).__name__

    def finish(self) -> None:
        """Writes down what the pickles were made with."""
        if not self.sizes:
            return
        tops = {module.partition(".")[0] for module in self.modules} | {"cloudpickle"}
        self.versions = {**here(), **versions_of(distributions_of(tops - {"tiffin"}))}
        facts = CapturedFacts(versions=self.versions, services=self._services)
        text = msgspec.json.format(msgspec.json.encode(facts, order="deterministic"))
        (self._folder / FACTS_FILE).write_bytes(text + b"\n")

    @contextmanager
    def _bare(self, name: str, obj: Any) -> Iterator[None]:
        """Within, a service is the class that the decorator was put on."""
        info = vars(obj).get(INFO) if isinstance(obj, type) else None
        if not isinstance(info, ServiceInfo):
            yield
            return
        self._services[name] = {"name": info.name, **asdict(info.options)}
        delattr(obj, INFO)
        try:
            yield
        finally:
            setattr(obj, INFO, info)


def _pickler(file: Any, name: str, module: str, refer: Mapping[int, str], modules: set[str]) -> Any:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        """Refers to what has source by its name, and takes everything else of the session by value."""

        def reducer_override(self, obj: Any) -> Any:
            if id(obj) in refer:
                return named, (module, refer[id(obj)])
            if isinstance(obj, Runner):
                return rebuilt_runner, _told(obj)
            if is_model(obj):
                raise BuildError(model_words(name, obj, name))
            if stream := stream_name(obj):
                return getattr, (sys, stream)
            refuse_bound(obj)
            kind = obj if isinstance(obj, type) or callable(obj) else type(obj)
            modules.add(str(getattr(kind, "__module__", None) or type(obj).__module__))
            return super().reducer_override(obj)

    return Pickler(file, protocol=5)


def _told(runner: Runner) -> tuple[Any, dict[str, Any]]:
    """What `tiffin.runner` was given."""
    options = {field: getattr(runner.options, field) for field in runner.options.__dataclass_fields__}
    workers = options["workers"]
    if hasattr(workers, "min"):
        options["workers"] = {"min": workers.min, "max": workers.max}
    options["models"] = [str(tag) for tag in options["models"]]
    options["sizes"] = options["sizes"] or None
    options["compile"] = options["compile"] or False
    return runner.cls or str(runner.tag), {**options, **runner.init}
