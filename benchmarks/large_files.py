"""Saves large model files of three formats: how often each is read, from the disk and by calls, and stored.

    python benchmarks/large_files.py [--megabytes 2000] [--formats torchscript safetensors onnx]

The files are put out of the page cache first. Bytes read from the disk and by calls are the kernel's counts
for the process that saves; what is read through a mapping is in the first alone. Needs torch and onnxruntime.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from builds import TORCHSCRIPT, forget, run
from large_model import used_bytes
from report import Report

BLOCK = 64 * 1024 * 1024
COLUMNS = 1000
SAVE = """
import json, resource, sys
from pathlib import Path

import tiffin

path, framework, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
if "class" in options:
    from net import Net
    options["class"] = Net
tiffin.models.save("large", path, framework=framework, options=options, inputs=sys.argv[4:])
counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"disk": int(counts["read_bytes"]), "calls": int(counts["rchar"]), "peak": peak}))
"""
NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, rows: int):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.empty(rows, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights[:4, :4]
"""
GRAPH = """
import sys

from onnx import TensorProto, helper, save_model

rows = int(sys.argv[1])
weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[rows, 1000])
weights.data_location = TensorProto.EXTERNAL
for key, value in {"location": "weights.bin", "offset": 0, "length": rows * 4000}.items():
    entry = weights.external_data.add()
    entry.key, entry.value = key, str(value)
graph = helper.make_graph(
    [helper.make_node("Gather", ["w", "x"], ["y"])],
    "large",
    [helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1000])],
    [weights],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
open(sys.argv[2], "wb").write(model.SerializeToString())
"""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    options = parser.parse_args()
    report = Report("large_files")
    report.section(f"model files of {options.megabytes:,} MB, saved once")
    figures, rows = {}, []
    for name in options.formats:
        with tempfile.TemporaryDirectory(prefix="bench-large-") as folder:
            one = figures[name] = measure(name, Path(folder), options.megabytes)
        times = [f"{one[key] / one['size']:.2f}" for key in ("disk", "calls", "stored")]
        rows.append(
            [name, f"{one['size'] / 1e6:,.0f}", f"{one['seconds']:.1f}", *times, f"{one['peak'] / 1e6:,.0f}"]
        )
    report.table(
        ["format", "MB", "seconds", "read from the disk", "read by calls", "stored", "peak memory, MB"], rows
    )
    report.keep(figures)
    met = all(max(one["disk"], one["stored"]) < 1.1 * one["size"] for one in figures.values())
    print(f"bar: read from the disk once and stored once: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def measure(name: str, folder: Path, megabytes: int) -> dict[str, float]:
    path, framework, options, inputs = FORMATS[name](folder, megabytes)
    files = [path, *folder.glob("weights.bin")]
    size = sum(file.stat().st_size for file in files)
    for file in files:
        forget(file)
    home = folder / "home"
    began = time.perf_counter()
    output = python(SAVE, folder, str(path), framework, json.dumps(options), *inputs)
    seconds = time.perf_counter() - began
    return {
        **json.loads(output.splitlines()[-1]),
        "size": size,
        "stored": used_bytes(home),
        "seconds": seconds,
    }


def torchscript(folder: Path, megabytes: int) -> tuple[Path, str, dict[str, object], list[str]]:
    path = folder / "large.pt"
    python(TORCHSCRIPT, folder, str(megabytes), str(path))
    return path, "torchscript", {}, ["x:float32[n,4]"]


def safetensors(folder: Path, megabytes: int) -> tuple[Path, str, dict[str, object], list[str]]:
    rows = megabytes * 250
    (folder / "net.py").write_text(NET)
    end = rows * COLUMNS * 4
    weights = {"dtype": "F32", "shape": [rows, COLUMNS], "data_offsets": [0, end]}
    head = json.dumps({"weights": weights}).encode()
    head += b" " * (-(8 + len(head)) % 64)
    path = folder / "large.safetensors"
    fill(path, len(head).to_bytes(8, "little") + head, end)
    return path, "torch", {"class": "net:Net", "init": {"rows": rows}}, ["x:float32[n,4]"]


def onnx(folder: Path, megabytes: int) -> tuple[Path, str, dict[str, object], list[str]]:
    rows = megabytes * 250
    path = folder / "large.onnx"
    fill(folder / "weights.bin", b"", rows * COLUMNS * 4)
    python(GRAPH, folder, str(rows), str(path))
    return path, "onnx", {}, []


FORMATS = {"torchscript": torchscript, "safetensors": safetensors, "onnx": onnx}


def fill(path: Path, head: bytes, size_bytes: int) -> None:
    """`head` and so many bytes of small numbers behind it, which are on the disk at the end."""
    block = bytes(byte & 0x3F for byte in os.urandom(1024 * 1024)) * (BLOCK // 1024 // 1024)
    with path.open("wb") as file:
        file.write(head)
        for at in range(0, size_bytes, BLOCK):
            file.write(block[: size_bytes - at])
        file.flush()
        os.fsync(file.fileno())


def python(code: str, folder: Path, *arguments: str) -> str:
    script = folder / "script.py"  # a file, for torch reads the source of what it compiles
    script.write_text(code)
    return run([sys.executable, str(script), *arguments], folder, {"TIFFIN_HOME": str(folder / "home")})


if __name__ == "__main__":
    sys.exit(main())
