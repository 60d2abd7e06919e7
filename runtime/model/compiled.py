"""A torch module whose methods run compiled, by `torch.compile`, and never compile while somebody waits."""

from __future__ import annotations

import logging
import time
from typing import Any

from ...errors import ModelError
from ..manifest import RunnerSpec
from . import torch_call
from .torch_call import Run, torch_or_error

log = logging.getLogger(__name__)

DEFAULT = "default"
GRAPH_MODES = ("reduce-overhead", "max-autotune")
"""Those that record CUDA graphs, each for one number of rows."""
MODES = (DEFAULT, *GRAPH_MODES)
FRAMEWORK = "torch"
"""Whose models can be compiled."""
_GRAPH_RUNS = 3
"""A CUDA graph is warmed by the first run, recorded by the second and replayed by the third."""
_NO_LIMIT = 100_000


class Compiled:
    """Calls a module, as `torch_call.call` does.

    Until `seal` each new shape is compiled; afterwards what was not compiled runs as it would without.

    Args:
        module: on its device, in eval mode.
        tag: of the model, for errors.
        spec: its runner. A method with sizes is compiled for each of them, another for any number of rows.
        run: calls a function of the module, as `torch_call.run` does.

    Raises:
        ModelError: this torch cannot, or sees no GPU for that mode.
    """

    def __init__(self, module: Any, tag: str, spec: RunnerSpec, run: Run = torch_call.run) -> None:
        torch = torch_or_error()
        if not hasattr(torch.compiler, "set_stance"):
            raise ModelError(f"compile= needs torch 2.6 or newer and this is {torch.__version__}: upgrade it")
        place = torch_call.device_of(module)
        if spec.compile in GRAPH_MODES and place.type != "cuda":
            raise ModelError(
                f"compile={spec.compile!r} needs an NVIDIA GPU and {tag} is on {place}: torch "
                f"{torch.__version__} sees {torch.cuda.device_count()} CUDA devices; install torch for CUDA, "
                "or use compile=True"
            )
        self._module, self._tag, self._spec, self._run = module, tag, spec, run
        self._functions: dict[tuple[int, bool], Any] = {}
        self._failure: Exception | None = None
        self._sealed = False
        self._began = time.monotonic()
        # A guard against compiling for ever, beyond which torch silently compiles no more; `seal` is ours.
        torch._dynamo.config.recompile_limit = _NO_LIMIT
        torch._dynamo.config.accumulated_recompile_limit = _NO_LIMIT

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """One inference, compiled where there is code for such arguments.

        Raises:
            Exception: what the module raises.
        """
        if self._sealed:
            return self._run(self._module, self._function(method), args, kwargs)
        plain = self._run(self._module, torch_call.bound(self._module, method), args, kwargs)
        try:
            for _ in range(_GRAPH_RUNS if self._spec.compile in GRAPH_MODES else 1):
                self._run(self._module, self._function(method), args, kwargs)
        except Exception as error:  # noqa: BLE001 - the module alone has just done it, so this is the compiler
            self._failure = self._failure or error
        return plain

    def seal(self) -> None:
        """Nothing is compiled from here on.

        Raises:
            ModelError: it could not be compiled, or nothing was: says why.
        """
        from torch._dynamo.utils import counters

        torch_or_error().compiler.set_stance("eager_on_recompile")
        self._sealed = True
        if self._failure is not None:
            raise ModelError(
                f"{self._tag} cannot be compiled: {_brief(self._failure)}; mend that or leave compile= out"
            ) from self._failure
        if not self._functions:
            raise ModelError(
                f"{self._tag} cannot be compiled before it is called: the shape of its inputs is not known, "
                "or it does not take zeros; save it with example=, or leave compile= out"
            )
        graphs = counters["stats"]["unique_graphs"]
        if not graphs:
            raise ModelError(f"torch found nothing to compile in {self._tag}: leave compile= out")
        log.info("compiled %s in %.1f s (%d graphs)", self._tag, time.monotonic() - self._began, graphs)

    def _function(self, method: str) -> Any:
        function = torch_call.bound(self._module, method)
        any_rows = not self._spec.methods[method].sizes
        # A bound method is made anew each time it is looked up; its function is not.
        key = id(getattr(function, "__func__", function)), any_rows
        made = self._functions.get(key)
        if made is None:
            compile_ = torch_or_error().compile
            made = self._functions[key] = compile_(function, mode=self._spec.compile, dynamic=any_rows)
        return made


def _brief(error: Exception) -> str:
    """The first paragraph: torch adds how to debug torch."""
    text = str(error).partition("\n\n")[0].strip() or type(error).__name__
    return f"{text} (torch.compile needs g++ to be installed)" if "C++ compiler" in text else text
