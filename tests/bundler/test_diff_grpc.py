"""What gRPC callers feel of a change: numbers and types of fields on the wire."""

from __future__ import annotations

from pathlib import Path

import pytest
import typed_zoo
from projects import write

from tiffin.bundler.build import build
from tiffin.bundler.diff.bundles import diff_bundles
from tiffin.bundler.diff.protos import grpc_changes
from tiffin.runtime.grpc.typed.proto import TypedProto
from tiffin.runtime.service.service import service_info

OLD = """
package iris;
service Iris {
  rpc Classify(ClassifyRequest) returns (stream ClassifyReply);
}
message ClassifyRequest {
  // number = 7
  optional Point point = 1;
  repeated Colour colours = 2;
  map<string, Point> named = 3;
  oneof either {
    int64 number = 4;
    string text = 5;
  }
}
message ClassifyReply {}
message Point {
  double x = 1;
  Point next = 2;
}
enum Colour {
  RED = 0;
  BLUE = 1;
}
"""


@pytest.mark.parametrize(
    ("was", "now", "changes"),
    [
        ("", "", []),
        ("Point", "Place", []),  # names of messages are not on the wire
        ("message ClassifyReply {}", "message ClassifyReply {\n  string result = 1;\n}", []),
        ("  Point next = 2;", "  Point next = 2;\n  double y = 3;", []),
        ("double x = 1", "int64 x = 1", ["point.x: double → int64"]),
        ("double x = 1", "repeated double x = 1", ["point.x: double → repeated double"]),
        ("double x = 1", "double x = 3", ["point.x: number 1 → 3"]),
        ("double x = 1", "double y = 1", ["point.x: its number 1 is that of y now"]),
        ("BLUE = 1", "BLUE = 2", ["colours.BLUE: number 1 → 2"]),
        (
            "map<string, Point> named",
            "map<string, string> named",
            ["named: map<string, Point> → map<string, string>"],
        ),
        ("int64 number = 4", "int64 number = 6", ["number: number 4 → 6"]),
        ("rpc Classify(ClassifyRequest)", "rpc Sort(ClassifyRequest)", []),  # the api's own change tells
    ],
)
def test_changes_of_a_proto(was: str, now: str, changes: list[str]) -> None:
    found = [each.change for each in grpc_changes(OLD, OLD.replace(was, now))]
    assert [f"{each.path}: {each.what}" for each in found] == [f"gRPC Classify: {each}" for each in changes]
    assert all(each.breaking for each in found)


def test_another_service() -> None:
    (found,) = grpc_changes(OLD, OLD.replace("package iris;", "package flowers;"))
    assert (found.change.path, found.change.what) == ("gRPC", "service iris.Iris → flowers.Iris")
    assert grpc_changes("", OLD) == grpc_changes(OLD, "") == []


def test_every_field_that_tiffin_writes_is_read() -> None:
    """All numbers are moved up: each field of each message is told, however it is written."""
    proto = TypedProto(service_info(typed_zoo.Zoo))
    fields = [field for message in proto.file.message_type for field in message.field]
    assert len(fields) > 80
    text = proto.text
    assert grpc_changes(text, text) == []
    for field in fields:
        line = f" {field.name} = {field.number};"
        assert line in text
        moved = grpc_changes(text, text.replace(line, f" {field.name} = {field.number + 500};"))
        assert [each for each in moved if f"number {field.number} → {field.number + 500}" in each.change.what]


SERVICE = """
from dataclasses import dataclass
import tiffin

@dataclass
class Point:
    {fields}

@tiffin.service(name="{name}")
class Places:
    @tiffin.api
    def near(self, point: Point, {inputs}) -> {output}:
        return {result}
"""
SAME = {
    "fields": "x: float; y: float = 0.0",
    "inputs": "n: int = 1",
    "output": "int",
    "result": "1",
    "name": "places",
}


@pytest.mark.parametrize(
    ("changed", "breaking"),
    [
        (
            {"fields": "y: float = 0.0; x: float = 0.0"},
            ["gRPC Near: point.x: number 1 → 2", "gRPC Near: point.y: number 2 → 1"],
        ),
        ({"inputs": "m: int = 2, n: int = 1"}, ["gRPC Near: n: number 2 → 3"]),
        ({"inputs": "n: float = 1"}, ["gRPC Near: n: int64 → double"]),  # JSON callers may go on
        ({"output": "float", "result": "1.0"}, ["POST /near: output: integer → number"]),  # told once
        ({"name": "sites"}, ["gRPC: service places.Places → sites.Sites"]),
        ({"inputs": "n: int = 1, m: int = 2"}, []),
        ({"fields": "x: float; y: float = 1.0"}, []),
    ],
)
def test_two_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], breaking: list[str]
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    made = [
        build(
            write(tmp_path / str(number), {"service.py": SERVICE.format(**values)}), lock=False, name="places"
        )
        for number, values in enumerate((SAME, {**SAME, **changed}))
    ]
    found = diff_bundles(*made)
    assert [f"{each.path}: {each.what}" for each in found.breaking] == breaking
    assert found.schema
