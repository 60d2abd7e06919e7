"""`compile=`: a module that is compiled while nobody waits, and never while somebody does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.model.compiled import Compiled
from tiffin.runtime.worker.inference import Inference

WORKER = """
import logging, sys
import numpy as np, torch
from torch._dynamo.utils import counters
from tiffin.bundler import models
from tiffin.runtime.manifest import RunnerSpec
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.worker.inference import load
import tiffin

net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU())
models.save("net", net, example=np.ones((2, 4), np.float32), options={"format": "pickle"})
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
plain = models.get("net").load("cpu")
chance = np.random.default_rng(0)

def graphs():
    return counters["stats"]["unique_graphs"]

def check(inference, rows):
    x = chance.random((rows, 4), np.float32)
    with torch.inference_mode():
        right = plain(torch.from_numpy(x)).numpy()
    for method in ("predict", "__call__"):
        assert np.allclose(inference.call(method, (x,), {}), right, atol=1e-6), rows

for sizes, covered, others in ((None, (1, 2, 3, 64, 500), ()), ((2,), (1, 2), (3, 9))):
    spec = tiffin.runner("net:latest", compile=True, sizes=sizes).spec("net")
    torch.compiler.set_stance("default")
    inference = load(Target(source=".", service=""), spec)
    before = graphs()
    inference.warm()
    assert graphs() - before == (2 if sizes is None else 1), graphs()
    made = graphs()
    for rows in (*covered, *others):
        check(inference, rows)
    assert graphs() == made, "compiled while somebody waited"
    torch.compiler.set_stance("fail_on_recompile")
    for rows in covered:
        check(inference, rows)
    for rows in others:
        try:
            check(inference, rows)
        except RuntimeError as error:
            assert "recompile" in str(error)
        else:
            raise AssertionError(f"{rows} rows ran compiled")
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_compiles_before_it_is_ready_and_never_again(tmp_path: Path) -> None:
    """Real: with sizes for each of them, else for any number of rows; other calls run as they are.

    The first time on a machine torch tries out what its CPU can do, which takes as long as the rest.
    """
    environ = {**os.environ, "TIFFIN_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("compiled net:") == 2


class Twice(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((1,), 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x * self.scale
        return out


class Compiler:
    """Stands for torch's: what it was asked, and what it does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.ran: list[int] = []
        self.stances: list[str] = []
        self.error: Exception | None = None
        self.graphs: dict[str, Any] = {"stats": defaultdict(int)}

    def compile(self, function: Any, *, mode: str, dynamic: bool) -> Any:
        self.asked.append((mode, dynamic))

        def compiled(x: torch.Tensor) -> Any:
            if self.error is not None:
                raise self.error
            self.ran.append(len(x))
            self.graphs["stats"]["unique_graphs"] += 1
            return function(x)

        return compiled


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    made = Compiler()
    monkeypatch.setattr(torch, "compile", made.compile)
    monkeypatch.setattr(torch.compiler, "set_stance", made.stances.append)
    monkeypatch.setattr("torch._dynamo.utils.counters", made.graphs)
    with torch._dynamo.config.patch(recompile_limit=8, accumulated_recompile_limit=256):
        yield made


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MethodSpec:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    saved = models.save("net", Twice(), example=np.ones((2, 4), np.float32), options={"format": "pickle"})
    return saved.info.methods["predict"]


def worker(method: MethodSpec, *, module: Any = None, mode: str = "default") -> Inference:
    spec = RunnerSpec(name="net", compile=mode, methods={"predict": method, "__call__": method})
    compiled = Compiled(module or Twice(), "net:1", spec)

    def run(name: str) -> Any:
        return lambda *args, **kwargs: compiled.call(name, *args, **kwargs)

    return Inference(spec, {name: run(name) for name in spec.methods}, compiled)


def test_once_for_both_names_of_the_call(compiler: Compiler, method: MethodSpec) -> None:
    one = worker(method)
    one.warm()
    assert compiler.asked == [("default", True)]
    assert compiler.ran == [1, 64] * 2
    assert compiler.stances == ["eager_on_recompile"]
    assert one.call("predict", (np.ones((3, 4), np.float32),), {}).tolist() == [[2.0] * 4] * 3


def test_each_size_is_warmed(compiler: Compiler, method: MethodSpec) -> None:
    method.sizes = [*range(1, 13)]  # beyond eight torch would silently stop to compile
    worker(method).warm()
    assert compiler.asked == [("default", False)]
    assert compiler.ran == [*range(1, 13)] * 2
    assert torch._dynamo.config.recompile_limit > 12


def test_no_compiler(compiler: Compiler, method: MethodSpec) -> None:
    compiler.error = RuntimeError("InvalidCxxCompiler: No working C++ compiler in cxx\n\nSet TORCH_LOGS")
    with pytest.raises(ModelError) as told:
        worker(method).warm()
    assert str(told.value) == (
        "net:1 cannot be compiled: InvalidCxxCompiler: No working C++ compiler in cxx "
        "(torch.compile needs g++ to be installed); mend that or leave compile= out"
    )
    assert compiler.stances == ["eager_on_recompile"]


def test_without_a_shape_there_is_nothing_to_compile_for(compiler: Compiler) -> None:
    with pytest.raises(ModelError, match="net:1 cannot be compiled before it is called: the shape"):
        worker(MethodSpec()).warm()
    assert compiler.asked == []


def test_a_module_that_does_not_like_zeros(compiler: Compiler, method: MethodSpec) -> None:
    class Picky(Twice):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("zeros")

    with pytest.raises(ModelError, match="does not take zeros"):
        worker(method, module=Picky()).warm()
    assert compiler.asked == []


def test_nothing_to_compile(compiler: Compiler, method: MethodSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._dynamo.utils.counters", {"stats": defaultdict(int)})
    with pytest.raises(ModelError, match="torch found nothing to compile in net:1"):
        worker(method).warm()


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
def test_graphs_need_a_gpu(compiler: Compiler, method: MethodSpec, mode: str) -> None:
    with pytest.raises(ModelError, match=f"compile='{mode}' needs an NVIDIA GPU and net:1 is on cpu: torch "):
        worker(method, mode=mode)


def test_an_old_torch(compiler: Compiler, method: MethodSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.compiler, "set_stance")
    with pytest.raises(ModelError, match=r"needs torch 2\.6 or newer and this is"):
        worker(method)
