"""`tiffin.runner()`: a piece of inference that a service calls.

In a server it runs in worker processes; without one (a unit test, a notebook) in this process, on first use.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

from ...errors import ServiceDefinitionError
from ..manifest import MethodSpec, ModelInfo, RunnerSpec
from ..tag import Tag
from .local import LocalRunner
from .methods import method_specs
from .model_options import check_fits, compile_mode, copies_ahead, fixed_sizes, methods_as_run, packs
from .options import DAY_S, MAX_PROCESSES, MAX_ROWS, flag, number, whole
from .runner_options import RunnerOptions
from .runner_target import check_init, resolve, shown, tags_of
from .where import at, line_of, user_frame
from .workers import gpu_share, worker_numbers

_MAX_NAME = 63


def runner(
    target: str | type,
    *,
    workers: int | str | Mapping[str, int | str] = 1,
    max_batch_size: int = 64,
    max_latency_ms: float | None = None,
    max_queue_rows: int | None = None,
    gpus: float = 0,
    threads: int | None = None,
    models: Iterable[str] = (),
    retry: bool = True,
    start_timeout_s: float = 300.0,
    compile: bool | str = False,  # noqa: A002 - torch calls it so
    prepack: bool | None = None,
    copy_ahead: bool = False,
    sizes: Iterable[int] | None = None,
    **init: Any,
) -> Any:
    """Declares a runner: an attribute of a `@tiffin.service` class.

    Its methods are called as `self.<runner>.<method>(rows)` and, for a single row,
    `self.<runner>.<method>.one(row)`: awaited in an `async def` api, plain in a `def` api.
    `self.<runner>.model` is the saved model's description.

    Args:
        target: a model's tag (`"iris:latest"`), or a class of your own, constructed once in every worker.
        workers: processes, 1 to 1,024; `"auto"`: one per core that this container may use; or
            `{"min": 1, "max": 4}`: as many as the load needs (`max` may be `"auto"`).
        max_batch_size: rows a batch, 1 to 1,000,000.
        max_latency_ms: milliseconds a row may spend here before it is refused; None: the request's deadline.
        max_queue_rows: rows that may wait in one API process; None: 16 batches a worker.
        gpus: devices per worker, 0 to 64; from 0.01 to below 1: a share of one, `0.5` puts two workers on it.
        threads: BLAS and OpenMP threads per worker, 1 to 1,024; None: cores / workers.
        models: tags of the models that a class loads itself, so that a bundle takes them along.
        retry: whether a request may run again after its worker died; False for calls with side effects.
        start_timeout_s: seconds that loading and warming may take, up to a day.
        compile: of a saved torch module, by `torch.compile`, in the worker before it is ready: True or
            `"default"`; with `gpus` also `"reduce-overhead"` or `"max-autotune"`, which record CUDA graphs.
        prepack: of a saved torch module on the CPU: whether a worker packs the weights of large linear
            layers when it loads them, so that they take half the time or less. None: up to 256 MiB of them,
            which each worker then holds once more.
        copy_ahead: of a saved torch module with `gpus`: batches go to the GPU and back through pinned memory
            (up to 192 MiB a worker), the next one while the one before it is computed.
        sizes: the numbers of rows that a saved model is called with, increasing; batches between are filled
            up. None: those it was saved with; with CUDA graphs 1, 2, 4 … up to `max_batch_size`.
        **init: keyword arguments for the class's `__init__`.

    Raises:
        ServiceDefinitionError: a target or an option that cannot work; says where and how to mend it.
    """
    frame = user_frame()
    line = at(frame.f_code.co_filename, frame.f_lineno)
    where = f"{line}: tiffin.runner({shown(target)})"
    tag, cls = resolve(where, target)
    check_init(where, cls, init)
    options = RunnerOptions(
        workers=worker_numbers(where, workers),
        max_batch_size=whole(where, "max_batch_size", max_batch_size, 1, MAX_ROWS),
        max_latency_ms=max_latency_ms
        if max_latency_ms is None
        else number(where, "max_latency_ms", max_latency_ms, DAY_S * 1000, "milliseconds"),
        max_queue_rows=max_queue_rows
        if max_queue_rows is None
        else whole(where, "max_queue_rows", max_queue_rows, 1, MAX_ROWS * 1000),
        gpus=gpu_share(where, gpus),
        threads=threads if threads is None else whole(where, "threads", threads, 1, MAX_PROCESSES),
        models=tags_of(where, cls, models),
        retry=flag(where, "retry", retry),
        start_timeout_s=number(where, "start_timeout_s", start_timeout_s, DAY_S, "seconds"),
        compile=compile_mode(where, compile, cls, gpus),
        prepack=packs(where, prepack, cls, gpus, compile),
        copy_ahead=copies_ahead(where, copy_ahead, cls, gpus),
        sizes=fixed_sizes(where, sizes, cls),
    )
    return Runner(tag, cls, options, init, line=line, frame=frame)


class Runner:
    """What `runner()` leaves in the class. No data descriptor: what a server puts into the instance wins."""

    def __init__(
        self,
        tag: Tag | None,
        cls: type | None,
        options: RunnerOptions,
        init: dict[str, Any],
        *,
        line: str,
        frame: FrameType,
    ) -> None:
        self.tag = tag
        """The model's, as written; None for a class."""
        self.cls = cls
        """The user's class; None for a model."""
        self.options = options
        self.init = init
        """Keyword arguments for the class."""
        self.where = line
        """`service.py:12`"""
        self.problem = ""
        """What is wrong with its name; raised by `@tiffin.service`: Python wraps errors of `__set_name__`."""
        self._name = ""
        # A class body forgets the first of two definitions of a name; kept here to be compared with our own.
        scope = frame.f_locals if "__qualname__" in frame.f_locals else {}
        self._earlier = {
            name: value.where if isinstance(value, Runner) else line_of(value)
            for name, value in scope.items()
            if isinstance(value, Runner) or hasattr(value, "__tiffin_api__")
        }
        self._lock = threading.Lock()

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name:
            self.problem = (
                f"one runner has two names, {self._name} and {name}; write tiffin.runner(…) for each"
            )
        elif name in self._earlier:
            self.problem = f"{name} is defined already ({self._earlier[name]}); rename one of them"
        elif not name.isascii() or len(name) > _MAX_NAME:
            self.problem = f"bad runner name {name!r}; use up to {_MAX_NAME} ASCII letters, digits and _"
        self._name = name
        self._earlier = {}

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        with self._lock:
            local = instance.__dict__.get(self._name)
            if local is None:
                local = instance.__dict__[self._name] = LocalRunner(self, self._name)
        return local

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"runner ({self.where}) has no attribute {name!r}: runners work on an instance of the service, "
            f"`self.<runner>.{name}(…)` in a class with @tiffin.service"
        )

    def construct(self) -> Any:
        """A new object of the user's class: what a worker calls.

        Raises:
            Exception: whatever the class raises.
        """
        if self.cls is None:
            raise TypeError(f"runner {self._name!r} is the model {self.tag}, not a class")
        return self.cls(**self.init)

    def spec(self, name: str) -> RunnerSpec:
        """The runner with its tags resolved.

        Raises:
            NotFoundError: a model does not exist.
            ServiceDefinitionError: a worker could not import the class.
        """
        from ..model.find import find

        options = self.options
        spec = RunnerSpec(
            name=name,
            models=[str(find(tag).tag) for tag in options.models],
            workers=options.workers,
            max_batch_size=options.max_batch_size,
            max_latency_ms=options.max_latency_ms,
            max_queue_rows=options.max_queue_rows,
            gpus=options.gpus,
            threads=options.threads,
            retry=options.retry,
            start_timeout_s=options.start_timeout_s,
            compile=options.compile,
            prepack=options.prepack,
            copy_ahead=options.copy_ahead,
        )
        if self.cls is not None:
            spec.cls = importable(self.cls, f"{self.where}: runner {name}")
            spec.methods = method_specs(self.cls)
        elif self.tag is not None:
            model = find(self.tag)
            spec.model = str(model.tag)
            spec.methods = self.methods_of(model.info)
        return spec

    def methods_of(self, info: ModelInfo) -> dict[str, MethodSpec]:
        """The methods of its model as this runner calls them.

        Raises:
            ServiceDefinitionError: an option is not for such a model.
        """
        options = self.options
        where = f"{self.where}: runner {self._name}"
        check_fits(where, info, options)
        return methods_as_run(info, options.compile, options.max_batch_size, options.sizes)

    def __repr__(self) -> str:
        return f"<runner {self._name or '?'} of {self.tag or self.cls!r} at {self.where}>"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .runner_card import runner_card

        return runner_card(self, self._name)


def importable(cls: type, where: str) -> str:
    """`module:QualName`, by which another process finds the class."""
    if "<locals>" in cls.__qualname__:
        raise ServiceDefinitionError(
            f"{where}: {cls.__qualname__} is defined inside a function, where no other process can "
            "import it; move it to the top of its module"
        )
    return f"{cls.__module__}:{cls.__qualname__}"
