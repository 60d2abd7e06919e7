"""The text of a service's `.proto`: what the compiler makes of it is what is served."""

# ruff: noqa: UP007, UP045 - hints made at run time

from __future__ import annotations

import dataclasses
import datetime
import inspect
import keyword
import re
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import msgspec
import numpy as np
import pandas as pd
import protoc
import pytest
import torch
from google.protobuf import descriptor_pb2
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from jaxtyping import Float32
from PIL import Image
from typed_messages import request_of, same
from typed_zoo import Box, Cat, Colour, Flower, Level, Odd, Person, Point, Row, Settings, Tree, Zoo

import tiffin
from tiffin import File
from tiffin.errors import ServiceDefinitionError
from tiffin.runtime.grpc.typed.names import Names, field_name, package_name, type_name
from tiffin.runtime.grpc.typed.proto import TypedProto
from tiffin.runtime.schema.example import example_of
from tiffin.runtime.service.service import service_info


def comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {
        tuple(place.path): place.leading_comments
        for place in file.source_code_info.location
        if place.leading_comments
    }


def without_source(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    bare = descriptor_pb2.FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    bare.name = ""
    for message in bare.message_type:
        for each in (message, *message.nested_type):
            for field in each.field:
                field.ClearField("json_name")  # the compiler writes out the default
    return bare


@pytest.mark.parametrize("service", [Zoo, Odd])
def test_the_compiler_makes_the_same_descriptor_of_the_text(service: type, tmp_path: Path) -> None:
    proto = TypedProto(service_info(service))
    compiled = protoc.descriptor(proto.text, tmp_path)
    assert str(without_source(compiled)) == str(without_source(proto.file))
    assert comments(compiled) == comments(proto.file)


def test_the_same_service_gives_the_same_text() -> None:
    assert TypedProto(service_info(Zoo)).text == TypedProto(service_info(Zoo)).text


def test_what_no_message_can_hold_is_refused_with_the_reason_and_the_others_stay() -> None:
    proto = TypedProto(service_info(Zoo))
    assert list(proto.refused) == ["refused"]
    assert "parameter 'x': msgspec.Raw has no type in a message; use bytes" in proto.refused["refused"]
    assert set(proto.methods) == set(service_info(Zoo).apis) - {"refused"}
    assert "Refused" not in proto.text


def test_docstrings_are_comments() -> None:
    text = TypedProto(service_info(Zoo)).text
    assert "// Every kind of hint.\n//\n// In two paragraphs.\nservice TheZoo {" in text
    assert "  // Points on a line.\n  rpc Count(CountRequest) returns (stream CountReply);" in text
    assert "// One flower.\nmessage Flower {" in text
    assert "  // and number\n  string street = 1;" in text


def test_numbers_follow_the_declaration_and_stay_when_a_parameter_is_added_behind() -> None:
    def made(cls: type) -> dict[str, tuple[int, int]]:
        message = TypedProto(service_info(tiffin.service(name="s")(cls))).file.message_type[0]
        return {field.name: (field.number, field.type) for field in message.field}

    class Before:
        @tiffin.api
        def call(self, b: int, a: float = 1.0) -> None: ...

    class After:
        @tiffin.api
        def call(self, b: int, a: float = 1.0, c: str = "") -> None: ...

    before, after = made(Before), made(After)
    assert before == {"b": (1, 3), "a": (2, 1)}
    assert after == {**before, "c": (3, 9)}


def test_a_class_with_a_field_that_cannot_be_sent_leaves_nothing_behind() -> None:
    @dataclasses.dataclass
    class Inside:
        fine: int
        raw: msgspec.Raw

    class Service:
        @tiffin.api
        def bad(self, x: list[Inside]) -> None: ...

        @tiffin.api
        def good(self, x: int) -> None: ...

    Service.bad.__annotations__["x"] = list[Inside]
    proto = TypedProto(service_info(tiffin.service(Service)))
    assert "field 'raw' of Inside" in proto.refused["bad"]
    assert [message.name for message in proto.file.message_type] == ["GoodRequest", "GoodReply"]


@given(st.text())
@settings(deadline=None)
def test_names_are_identifiers(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field_name(text))
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", type_name(text))
    assert re.fullmatch(r"[a-z][a-z0-9_]*", package_name(text))


@given(st.lists(st.sampled_from(["a_b", "aB", "ab", "A_B", "a_b_2", "x1", "x_1"])))
def test_no_name_is_given_twice_however_it_is_folded(wanted: list[str]) -> None:
    names = Names("_")
    given_names = [names.take(name).replace("_", "").lower() for name in wanted]
    assert len(set(given_names)) == len(given_names)


LEAVES = [
    int, float, str, bool, bytes, Any, None, datetime.date, datetime.datetime, datetime.timedelta, uuid.UUID,
    Colour, Level, Flower, Cat, Point, Row, Settings, Tree, Person, File, pd.DataFrame, np.ndarray,
    torch.Tensor, Literal["a", "b"], Optional[Literal[1, "a"]], dict, list, tuple, msgspec.Raw, memoryview,
    Box[int],
    Float32[np.ndarray, "n 4"], Annotated[int, msgspec.Meta(ge=1, description="one\nor more")],
    Annotated[datetime.datetime, msgspec.Meta(tz=True)], Image.Image,
]  # fmt: skip
KEYS = [str, int, float, bool, datetime.date, Colour, Level, Literal["x"], Any, bytes]


def hints() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.sampled_from(LEAVES),
        lambda inner: st.one_of(
            inner.map(lambda hint: list[hint]),
            inner.map(lambda hint: tuple[hint, ...]),
            inner.map(lambda hint: Optional[hint]),
            inner.map(lambda hint: Box[hint]),
            st.tuples(inner, inner).map(lambda pair: tuple[pair]),
            st.tuples(inner, inner).map(lambda pair: Union[pair]),
            st.tuples(st.sampled_from(KEYS), inner).map(lambda pair: dict[pair]),
        ),
        max_leaves=5,
    )


WORDS = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,4}", fullmatch=True).filter(
    lambda word: not keyword.iskeyword(word) and not word.startswith("__") and word != "self"
)


@given(
    parameters=st.dictionaries(WORDS | st.just("größe"), hints(), max_size=4),
    result=hints(),
    name=WORDS.filter(lambda word: not word.startswith("_")),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
def test_every_service_has_a_text_that_compiles(
    tmp_path_factory: pytest.TempPathFactory, parameters: dict[str, Any], result: Any, name: str
) -> None:
    def call(self: Any) -> None: ...

    call.__name__ = name
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY),
            *(
                inspect.Parameter(word, inspect.Parameter.KEYWORD_ONLY, annotation=hint)
                for word, hint in parameters.items()
            ),
        ],
        return_annotation=result,
    )
    try:
        service = tiffin.service(type("Service", (), {name: tiffin.api(route="/call")(call)}))
    except ServiceDefinitionError:
        reject()
    proto = TypedProto(service_info(service))
    compiled = protoc.descriptor(proto.text, tmp_path_factory.getbasetemp())
    assert str(without_source(compiled)) == str(without_source(proto.file))
    assert bool(proto.methods) != bool(proto.refused)
    for reason in proto.refused.values():
        assert "msgspec.Raw" in reason or "keys of a map" in reason
    example = example_of(service_info(service).apis[name].inputs)
    if proto.methods and example is not None:
        arguments = service_info(service).apis[name].inputs.decode_json(msgspec.json.encode(example))
        assert same(proto.methods[name].decode(request_of(proto.methods[name], arguments)), arguments)
