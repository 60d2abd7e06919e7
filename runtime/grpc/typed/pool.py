"""Message classes made while the server runs, in a pool of their own: other files of the same names in this
process (a client's generated code, say) never meet them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)

KNOWN: dict[str, bytes] = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (struct_pb2, timestamp_pb2, duration_pb2)
}
"""What a service's file may import."""


def files_of(file: descriptor_pb2.FileDescriptorProto) -> list[descriptor_pb2.FileDescriptorProto]:
    """The file, behind those that it imports."""
    imported = [descriptor_pb2.FileDescriptorProto.FromString(KNOWN[name]) for name in file.dependency]
    return [*imported, file]


def message_classes(file: descriptor_pb2.FileDescriptorProto) -> Callable[[str], Any]:
    """Gives the class of a message by its full name, without a dot in front."""
    pool = descriptor_pool.DescriptorPool()
    for each in files_of(file):
        pool.AddSerializedFile(each.SerializeToString())

    def find(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    return find
