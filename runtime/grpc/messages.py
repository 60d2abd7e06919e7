"""The messages of every protocol here, made from the compiled descriptors in `protos/`.

They live in a pool of their own: other packages of the same process (`tritonclient`, the health and
reflection packages of gRPC) bring messages with the same names, and the default pool refuses a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PROTOS = Path(__file__).parent / "protos"
DESCRIPTORS = PROTOS / "descriptors.binpb"
"""What protoc makes of the `.proto` files beside it: a serialized FileDescriptorSet."""


def _read() -> list[FileDescriptorProto]:
    return list(FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file)


FILES: list[FileDescriptorProto] = _read()
"""Each after those that it imports."""
POOL = DescriptorPool()
for _file in FILES:
    POOL.Add(_file)


def message(name: str) -> Any:
    """The class of a message by its full name, `inference.ModelInferRequest`.

    Raises:
        KeyError: there is none.
    """
    return GetMessageClass(POOL.FindMessageTypeByName(name))


def rpcs(service: str) -> Mapping[str, tuple[Any, Any]]:
    """Name of each RPC of a service to the classes of its request and its reply."""
    return {
        method.name: (GetMessageClass(method.input_type), GetMessageClass(method.output_type))
        for method in POOL.FindServiceByName(service).methods
    }
