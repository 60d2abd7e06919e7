"""What one more worker of a large model costs in memory, for every framework.

    python benchmarks/worker_memory.py [kind …]        # KINDS, without the heavy ones of MORE

For each a model with 200 MB of weights or more is saved (XGBoost: what trains in a minute); three processes
load it and answer a call, as workers do. Printed is what the third holds: `own` is memory that nobody else
maps (USS), the price of one more worker; `share` (PSS) divides what is shared among those who share it. The
same with a tiny model tells how much of it is Python and the framework.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import heavy_models
from report import keep, table

WORKERS = 3
MB = 1_000_000


class Table:
    """An object of no framework: rows of a large array."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def predict(self, x: Any) -> Any:
        return self.rows[: len(x), :4] + x


def make(kind: str, large: bool) -> tuple[Any, dict[str, Any], Any]:
    """A model, how to save it, and one row for it."""
    import numpy as np

    if kind in heavy_models.KINDS:
        return heavy_models.KINDS[kind](large)
    side = 8_000 if large else 8
    chance = np.random.default_rng(0)
    if kind == "cloudpickle: arrays":
        return Table(np.ones((side, side), np.float32)), {}, np.ones((1, 4), np.float32)
    if kind == "sklearn: neighbours":
        from sklearn.neighbors import KNeighborsClassifier

        x = chance.random((side, 8_000 if large else 8), np.float32)
        return KNeighborsClassifier(algorithm="brute").fit(x, np.arange(side) % 3), {}, x[:1]
    if kind == "sklearn: forest":
        from sklearn.ensemble import ExtraTreesRegressor

        x = chance.random((200_000 if large else 50, 4), np.float32)
        return ExtraTreesRegressor(8, max_features=1).fit(x, chance.random(len(x))), {}, x[:1]
    if kind == "xgboost":
        import xgboost

        x = chance.random((200_000 if large else 50, 4), np.float32)
        many = {"n_estimators": 100 if large else 2, "max_depth": 15, "max_bin": 1024, "reg_lambda": 0.0}
        model = xgboost.XGBRegressor(**many, n_jobs=2).fit(x, chance.random(len(x)))
        return model, {}, x[:1]
    if kind in {"onnx", "onnx: shared"}:
        return graph(kind, side)
    if kind == "openvino":
        import openvino

        ops = openvino.opset13
        x = ops.parameter([-1, side], np.float32, name="x")
        y = ops.matmul(x, ops.constant(np.ones((side, side), np.float32)), False, False)
        return openvino.Model([y], [x], "g"), {}, np.ones((1, side), np.float32)
    if kind in {"lightgbm", "catboost"}:
        return boosted(kind, large)
    import torch

    module = torch.nn.Linear(side, side)
    row = np.ones((1, side), np.float32)
    if kind == "torch: TorchScript":
        return torch.jit.trace(module, torch.ones(1, side)), {}, row
    if kind == "torch: pickle":
        return module, {"format": "pickle"}, row
    return module, {"init": {"in_features": side, "out_features": side}}, row


def graph(kind: str, side: int) -> tuple[Any, dict[str, Any], Any]:
    """One product of matrices."""
    import numpy as np
    import onnx

    row, weight, make_ = np.ones((1, side), np.float32), np.ones((side, side), np.float32), onnx.helper
    ends = [make_.make_tensor_value_info(name, 1, ["n", side]) for name in "xy"]
    made = make_.make_graph(
        [make_.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        ends[:1],
        ends[1:],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    proto = make_.make_model(made, opset_imports=[make_.make_opsetid("", 17)], ir_version=9)
    return proto, {"shared": True} if kind == "onnx: shared" else {}, row


def boosted(kind: str, large: bool) -> tuple[Any, dict[str, Any], Any]:
    """Trees on noise."""
    import numpy as np

    x = np.random.default_rng(0).random((200_000 if large else 50, 4), np.float32)
    y = np.random.default_rng(1).random(len(x))
    if kind == "lightgbm":
        import lightgbm

        many = {"n_estimators": 40 if large else 2, "num_leaves": 4_000, "min_child_samples": 5}
        return lightgbm.LGBMRegressor(**many, verbose=-1, n_jobs=2).fit(x, y), {}, x[:1]
    import catboost

    trees = catboost.CatBoostRegressor(
        iterations=40 if large else 2, depth=12, verbose=0, allow_writing_files=False, thread_count=2
    )
    return trees.fit(x, y), {}, x[:1]


KINDS = (
    "torch: safetensors",
    "torch: pickle",
    "torch: TorchScript",
    "sklearn: neighbours",
    "sklearn: forest",
    "xgboost",
    "cloudpickle: arrays",
)
MORE = ("onnx", "onnx: shared", "openvino", "lightgbm", "catboost", *heavy_models.KINDS)
"""In the environment of make test-frameworks."""


def save(kind: str, large: bool) -> None:
    """Prints the tag."""
    import numpy as np

    from tiffin.bundler import models

    model, options, row = make(kind, large)
    saved = models.save("m", model, options=options)
    np.save(saved.path.parent / "row.npy", row)
    print(saved.tag)


def saved(kind: str, size: str) -> str:
    """The tag; made in a process of its own, whose memory ends with it."""
    command = [sys.executable, __file__, "--save", kind, "--size", size]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]


def serve(tag: str) -> None:
    """A worker: loads, answers once, tells its memory when asked, and waits for the end."""
    import numpy as np

    from tiffin.runtime.model.find import find

    model = find(tag)
    loaded = model.load()
    row = np.load(model.path.parent / "row.npy")
    model.framework.call(loaded, next(iter(model.info.methods)), row)
    print("ready", flush=True)
    for _ in sys.stdin:
        facts = dict(line.split(":") for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
        kilobytes = {key: int(value.split()[0]) for key, value in facts.items()}
        own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
        print(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024, own * 1024, flush=True)


def measure(tag: str) -> tuple[int, int, int]:
    """RSS, PSS and USS of the last of several workers, in bytes."""
    command = [sys.executable, __file__, "--serve", tag]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    workers = []
    try:
        for _ in range(WORKERS):
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
            )
            workers.append(worker)
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        assert workers[-1].stdin is not None
        assert workers[-1].stdout is not None
        print("how much?", file=workers[-1].stdin, flush=True)
        rss, pss, uss = map(int, workers[-1].stdout.readline().split())
        return rss, pss, uss
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--save", help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("kinds", nargs="*", default=KINDS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve)
    elif chosen.save:
        save(chosen.save, chosen.size == "large")
    else:
        compare(chosen.kinds)


def compare(kinds: list[str]) -> None:
    rows = []
    for kind in kinds:
        found, bytes_ = {}, 0
        for size in ("large", "small"):
            with tempfile.TemporaryDirectory() as home:
                os.environ["TIFFIN_HOME"] = home
                found[size] = measure(saved(kind, size))
                files = [file for file in Path(home).glob("models/m/*/*") if file.is_file()]
                bytes_ = sum(file.stat().st_size for file in files) if size == "large" else bytes_
        rss, pss, uss = found["large"]
        tiny = found["small"][2]
        rows.append([kind, *(f"{value / MB:.0f}" for value in (bytes_, rss, pss, uss, tiny, uss - tiny))])
        print(*rows[-1], sep="  ", file=sys.stderr)
    head = ["model, MB", "files", "RSS", "share", "own", "own if tiny", "own for weights"]
    table(head, rows)
    keep("worker_memory", {"workers": WORKERS, "head": head, "rows": rows})


if __name__ == "__main__":
    main()
