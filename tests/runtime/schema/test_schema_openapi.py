"""The OpenAPI document: valid by the 3.1 schema, complete, and true."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, Literal

import jsonschema
import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from jaxtyping import Bool, Float32, Num, UInt8
from openapi_spec_validator import OpenAPIV31SpecValidator
from PIL import Image

from tiffin.runtime.schema.example import example_of
from tiffin.runtime.schema.file import File
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.openapi import openapi
from tiffin.runtime.schema.outputs import Output


class Size(enum.Enum):
    SMALL = "small"


@dataclasses.dataclass
class Box:
    corners: Float32[np.ndarray, "4"]
    size: Size = Size.SMALL


class Inner(pydantic.BaseModel):
    n: int


class Outer(pydantic.BaseModel):
    inner: Inner
    many: list[Inner] = []


def classify(flowers: Float32[np.ndarray, "n 4"], top: int = 3, size: Size = Size.SMALL) -> list[str]: ...
def boxes(boxes: list[Box], outer: Outer, mode: Literal["a"] = "a") -> dict[str, Box]: ...
def picture(image: Image.Image, mask: Bool[np.ndarray, "h w"] | None = None) -> Image.Image: ...
def table(frame: pd.DataFrame) -> pd.DataFrame: ...
def files(files: list[File], data: bytes = b"") -> File: ...
def big(
    x: UInt8[torch.Tensor, "n 3 224 224"], y: Num[np.ndarray, "..."], z: Float32[np.ndarray, ""]
) -> Outer: ...
def gallery(images: list[Image.Image], at: datetime.datetime, until: datetime.time) -> None: ...
def nothing() -> None: ...
def say(text: str) -> str: ...
async def stream(text: str) -> AsyncIterator[Box]:
    yield None  # type: ignore[misc]


FUNCTIONS = [classify, boxes, picture, table, files, big, gallery, nothing, say, stream]


def api(function: Any) -> Any:
    output = Output.of(function, where="test")
    return SimpleNamespace(
        name=function.__name__, route=f"/{function.__name__}", doc=f"Does {function.__name__}.\n\nMore.",
        inputs=Inputs.of(function, where="test"), output=output, stream=output.stream, timeout_s=30.0,
    )  # fmt: skip


INFO = SimpleNamespace(
    name="shop", doc="A shop.", apis={function.__name__: api(function) for function in FUNCTIONS}
)


def test_it_is_valid_openapi_3_1() -> None:
    document = json.loads(json.dumps(openapi(INFO)))
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert "$defs" not in json.dumps(document)


def test_every_list_says_what_is_in_it() -> None:
    """Generators of clients (openapi-python-client) leave an operation out otherwise."""

    def lists(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            kind = schema.get("type", ())
            if kind == "array" or (isinstance(kind, list) and "array" in kind):
                yield schema
        for inner in schema.values() if isinstance(schema, dict) else schema:
            if isinstance(inner, (dict, list)):
                yield from lists(inner)

    found = list(lists(openapi(INFO)))
    assert len(found) > 10
    assert [each for each in found if "items" not in each and "prefixItems" not in each] == []


def test_every_route_media_type_and_problem_is_there() -> None:
    document = openapi(INFO)
    operation = document["paths"]["/classify"]["post"]
    assert operation["summary"] == "Does classify."
    assert operation["operationId"] == "classify"
    assert operation["tags"] == ["shop"]
    assert set(operation["requestBody"]["content"]) == set(INFO.apis["classify"].inputs.media_types)
    assert {parameter["name"] for parameter in operation["parameters"]} == {"top", "size"}
    responses = operation["responses"]
    assert {"200", "400", "413", "415", "422", "503", "504"} <= set(responses)
    assert set(responses["422"]["content"]) == {"application/problem+json"}
    assert "Retry-After" in responses["503"]["headers"]
    assert set(document["paths"]["/stream"]["post"]["responses"]["200"]["content"]) == {"text/event-stream"}
    assert "requestBody" not in document["paths"]["/nothing"]["post"]
    assert {"Box", "Size", "Inner", "ClassifyInput", "Problem"} <= set(document["components"]["schemas"])


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_examples_are_accepted_and_fit_the_schema(function: Any) -> None:
    inputs = INFO.apis[function.__name__].inputs
    example = example_of(inputs)
    if function is big:
        assert example is None  # 150,000 numbers help nobody
        return
    assert example is not None
    inputs.decode_json(json.dumps(example).encode())
    components: dict[str, Any] = {}
    schema = inputs.json_schema(components)
    jsonschema.validate(example, {**schema, "components": {"schemas": components}})


def test_examples_show_the_defaults() -> None:
    def call(kind: Literal["none", "all"] = "none", size: Size | None = None, at: float = 2.5) -> None: ...

    assert example_of(Inputs.of(call, where="test")) == {"kind": "none", "at": 2.5}


def test_shapes_are_in_the_schema() -> None:
    schema = INFO.apis["classify"].inputs.json_schema({})
    assert schema["required"] == ["flowers"]
    assert schema["properties"]["top"]["default"] == 3
    flowers = schema["properties"]["flowers"]
    assert flowers["items"]["minItems"] == flowers["items"]["maxItems"] == 4
    jsonschema.validate({"flowers": []}, {**schema, "properties": {"flowers": flowers}})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"flowers": [[1, 2, 3]]}, {**schema, "properties": {"flowers": flowers}})


def test_two_bodies_of_one_name_are_kept_apart() -> None:
    first, second = api(classify), api(classify)
    second.route, second.name = "/other", "other"
    document = openapi(SimpleNamespace(name="s", doc="", apis=[first, second]))
    assert {"ClassifyInput", "ClassifyInput2"} <= set(document["components"]["schemas"])


def test_a_body_is_optional_where_the_query_can_say_it_all() -> None:
    paths = openapi(INFO)["paths"]
    assert paths["/say"]["post"]["requestBody"]["required"] is False
    assert paths["/classify"]["post"]["requestBody"]["required"] is True


def test_forms_are_as_closed_as_json() -> None:
    content = openapi(INFO)["paths"]["/classify"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["additionalProperties"] is False
