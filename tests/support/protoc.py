"""What a user in another language does with a `.proto`: compile its text, and nothing else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def descriptor(text: str, folder: Path) -> descriptor_pb2.FileDescriptorProto:
    """The compiler's descriptor of a file, with its comments."""
    (folder / "service.proto").write_text(text, encoding="utf-8")
    out = folder / "set.bin"
    status = protoc.main(
        [
            "protoc",
            f"-I{folder}",
            f"-I{WELL_KNOWN}",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            "service.proto",
        ]
    )
    assert status == 0
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return file


def python_modules(text: str, folder: Path, name: str) -> tuple[ModuleType, ModuleType]:
    """Generated code, imported: of messages, and of the service.

    Args:
        name: of the file, and so of the modules; unique in this process, as Python's generated code demands.
    """
    (folder / f"{name}.proto").write_text(text, encoding="utf-8")
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{WELL_KNOWN}",
            f"--python_out={folder}", f"--grpc_python_out={folder}", f"{name}.proto",
        ],
        check=True,
    )  # fmt: skip
    messages = _imported(folder, f"{name}_pb2")
    return messages, _imported(folder, f"{name}_pb2_grpc")


def _imported(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
