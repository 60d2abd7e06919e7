"""Texts of a schema stay texts in the code: a server that is called for its schema may be anybody's."""

from __future__ import annotations

import ast
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import typescript
from hypothesis import given
from hypothesis import strategies as st
from scripted_http import SCHEMA

from tiffin.bundler.client_code.write import client_code
from tiffin.errors import BuildError

BASE: dict[str, Any] = {"info": {"title": "small", "version": "1"}, **json.loads(SCHEMA)}
NASTY = '"""\n*/ \\ `${x}` \' {{ 1 }} {% raw %} \u2028 \x00 \\u0022"'


def changed(**parts: Any) -> dict[str, Any]:
    document = copy.deepcopy(BASE)
    operation = document["paths"]["/add"]["post"]
    (parameter,) = operation["x-tiffin"]["parameters"]
    operation |= {key: value for key, value in parts.items() if key in ("operationId", "description")}
    parameter |= {
        key: value for key, value in parts.items() if key in ("name", "schema", "default", "required")
    }
    document["info"] |= {key: value for key, value in parts.items() if key in ("title", "version")}
    if "components" in parts:
        document["components"] = {"schemas": parts["components"]}
    return document


def checked(document: dict[str, Any]) -> str:
    """The Python code, which parses and does nothing but define."""
    text = client_code(document, "python")
    tree = ast.parse(text)
    for statement in tree.body:
        assert not isinstance(statement, ast.Expr) or isinstance(statement.value, ast.Constant)
    compile(tree, "client.py", "exec")
    client_code(document, "typescript")
    return text


@given(st.text(), st.text(), st.text())
def test_any_texts(title: str, doc: str, value: str) -> None:
    record = {
        "properties": {value: {"enum": [value, title]}, title: {"type": "string"}}, "description": doc
    }  # fmt: skip
    checked(
        changed(
            title=title, description=doc, version=value, required=False, default=value,
            schema={"$ref": f"#/components/schemas/{title}"}, components={title: record},
        )
    )  # fmt: skip


def test_a_nasty_text_everywhere_compiles(tmp_path: Path) -> None:
    record = {
        "properties": {NASTY: {"enum": [NASTY]}, "plain": {"$ref": "#/components/schemas/class"}},
        "description": NASTY,
    }
    document = changed(
        title=f"small {NASTY}", description=NASTY, required=False, default=NASTY,
        schema={"anyOf": [{"$ref": f"#/components/schemas/{NASTY}"}, {"type": "null"}]},
        components={NASTY: record, "class": {"enum": [NASTY, "b"], "description": NASTY}},
    )  # fmt: skip
    checked(document)
    path = tmp_path / "nasty.ts"
    path.write_text(client_code(document, "typescript"))
    assert typescript.compile_strictly(path) == []


@pytest.mark.parametrize("name", ["class", "self", "lambda", "answer_", "List", "print"])
def test_names_that_mean_something_else(name: str) -> None:
    checked(changed(name=name))


@pytest.mark.parametrize("name", ["close", "list", "then", "constructor", "wait_ready", "waitReady"])
def test_apis_with_names_of_the_client(name: str, tmp_path: Path) -> None:
    document = changed(operationId=name)
    checked(document)
    path = tmp_path / "named.ts"
    path.write_text(client_code(document, "typescript"))
    assert "constructor_api" in path.read_text() or name != "constructor"


@pytest.mark.parametrize(
    "parts",
    [
        {"operationId": "a b"},
        {"operationId": "a();import os"},
        {"name": "x y"},
        {"name": "x=1"},
        {"schema": {"$ref": "#/components/schemas/None"}},
    ],
)
def test_names_that_are_none(parts: dict[str, Any]) -> None:
    for language in ("python", "typescript"):
        with pytest.raises(BuildError):
            client_code(changed(**parts), language)


def test_documents_of_others() -> None:
    for document in ({}, {"info": {"title": "x"}, "paths": []}, {"paths": {"/x": None}, "info": {}}):
        with pytest.raises(BuildError, match="not tiffin's"):
            client_code(document, "python")
    plain = {"info": {"title": "x"}, "paths": {"/x": {"post": {"operationId": "x"}}}}
    with pytest.raises(BuildError, match="earlier tiffin"):
        client_code(plain, "typescript")


def test_a_route_that_is_none() -> None:
    document = copy.deepcopy(BASE)
    document["paths"]['/a"b'] = document["paths"].pop("/add")
    with pytest.raises(BuildError, match="no code"):
        client_code(document, "python")


def test_one_definition_in_two_forms() -> None:
    """What callers may leave out is there in answers."""
    point = {"title": "Point", "properties": {"x": {"type": "number"}, "y": {"type": "number", "default": 0}}}
    point["required"] = ["x"]  # type: ignore[assignment]
    document = changed(
        schema={"type": "array", "items": {"$ref": "#/components/schemas/Point"}}, components={"Point": point}
    )
    text = client_code(document, "typescript")
    assert "export interface Point {\n  x: number;\n  y?: number;\n}" in text
    assert "PointInput" not in text
    document["paths"]["/add"]["post"]["x-tiffin"]["output"] = {
        "kind": "json", "schema": {"$ref": "#/components/schemas/Point"}
    }  # fmt: skip
    text = client_code(document, "typescript")
    assert "export interface PointInput {\n  x: number;\n  y?: number;\n}" in text
    assert "export interface Point {\n  x: number;\n  y: number;\n}" in text
    assert "readonly PointInput[]" in text
    assert "class PointInput(_PointInput, total=False):" in client_code(document, "python")


def test_a_definition_that_holds_itself() -> None:
    tree = {"properties": {"left": {"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "null"}]}}}
    union = {
        "anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/components/schemas/Union"}}]
    }
    document = changed(
        schema={"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"$ref": "#/components/schemas/Union"}]},
        components={"Tree": tree, "Union": union},
    )
    text = checked(document)
    assert "class Tree(TypedDict" in text
    assert "Union2: TypeAlias = 'int | Sequence[Union2]'" in text  # `Union` itself is taken
