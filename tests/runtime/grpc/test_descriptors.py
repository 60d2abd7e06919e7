"""The compiled descriptors are those of the `.proto` files beside them. UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tiffin.runtime.grpc.messages import DESCRIPTORS, POOL, PROTOS


def compiled(folder: Path) -> bytes:
    protoc = pytest.importorskip("grpc_tools.protoc")
    out = folder / "descriptors.binpb"
    names = sorted(path.name for path in PROTOS.glob("*.proto"))
    code = protoc.main(["protoc", f"-I{PROTOS}", "--include_imports", f"--descriptor_set_out={out}", *names])
    assert code == 0
    return out.read_bytes()


def test_they_are_current(tmp_path: Path) -> None:
    fresh = compiled(tmp_path)
    if os.environ.get("UPDATE_GOLDEN"):
        DESCRIPTORS.write_bytes(fresh)
    kept = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    assert kept == FileDescriptorSet.FromString(fresh)


def test_numbers_and_types_are_those_of_the_clients() -> None:
    """Every field that we have, tritonclient has with the same number and type."""
    pytest.importorskip("tritonclient.grpc")
    from tritonclient.grpc import model_config_pb2, service_pb2

    seen = 0
    for theirs in (service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR):
        for name, message in theirs.message_types_by_name.items():
            try:
                ours = POOL.FindMessageTypeByName(f"inference.{name}")
            except KeyError:
                continue
            seen += compare(ours, message)
    assert seen > 200


def compare(ours: object, theirs: object) -> int:
    known = {field.name: field for field in theirs.fields}  # type: ignore[attr-defined]
    for field in ours.fields:  # type: ignore[attr-defined]
        other = known[field.name]
        assert (field.number, field.type, field.is_repeated) == (
            other.number,
            other.type,
            other.is_repeated,
        ), field.full_name
    nested = theirs.nested_types_by_name  # type: ignore[attr-defined]
    inner = sum(compare(one, nested[one.name]) for one in ours.nested_types)  # type: ignore[attr-defined]
    return inner + len(ours.fields)  # type: ignore[attr-defined]


def test_every_rpc_of_the_clients_is_there() -> None:
    pytest.importorskip("tritonclient.grpc")
    from tritonclient.grpc import service_pb2

    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    ours = POOL.FindServiceByName("inference.GRPCInferenceService")
    assert {method.name for method in ours.methods} == {method.name for method in theirs.methods}
    for method in theirs.methods:
        mine = ours.methods_by_name[method.name]
        assert mine.input_type.full_name == method.input_type.full_name
        assert mine.output_type.full_name == method.output_type.full_name
