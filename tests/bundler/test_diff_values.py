"""What the diff of two JSON Schemas says, against the values that they really allow.

Not "narrower" must mean that whatever was accepted still is; not "wider" that whatever comes now could have
come before, to a reader who leaves unknown fields alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tiffin.bundler.diff.json_schemas import Schemas

NAMES = ("a", "b", "c")
TEXTS = ("", "x", "yy", "zzz")
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([-0.5, 0.5, 1.5]), st.sampled_from(TEXTS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def limits(draw: st.DrawFn, names: tuple[str, ...], low: int, high: int) -> dict[str, int]:
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    return {name: draw(st.integers(low, high)) for name in chosen}


NUMBER_LIMITS = limits(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), -2, 2)


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["integer", "number", "string", "boolean", "null", "enum", "const", "any"]))
    if kind in {"integer", "number"}:
        return {"type": kind, **draw(NUMBER_LIMITS)}
    if kind == "string":
        return {"type": kind, **draw(limits(("minLength", "maxLength"), 0, 3))}
    if kind == "enum":
        return {"enum": draw(st.lists(st.sampled_from([*TEXTS, 1, None]), min_size=1, unique_by=repr))}
    if kind == "const":
        return {"const": draw(st.sampled_from([*TEXTS, 1]))}
    return {} if kind == "any" else {"type": kind}


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    fields = draw(st.dictionaries(st.sampled_from(NAMES), inner, max_size=3))
    required = [name for name in fields if draw(st.booleans())]
    more: dict[str, Any] = draw(st.sampled_from([{}, {"additionalProperties": False}]))
    return {"type": "object", "properties": fields, "required": required, **more}


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arrays = st.builds(
        lambda items, bounds: {"type": "array", "items": items, **bounds},
        inner,
        limits(("minItems", "maxItems"), 0, 3),
    )
    tuples = st.lists(inner, min_size=1, max_size=2).map(
        lambda items: {
            "type": "array",
            "prefixItems": items,
            "items": False,
            "minItems": len(items),
            "maxItems": len(items),
        }
    )
    choices = st.lists(inner, min_size=2, max_size=3).map(lambda some: {"anyOf": some})
    maps = inner.map(lambda values: {"type": "object", "additionalProperties": values})
    return st.one_of(arrays, tuples, choices, maps, objects(inner))


SCHEMAS = st.recursive(leaves(), nested, max_leaves=4)


@st.composite
def changed(draw: st.DrawFn, schema: Any) -> Any:
    """The same schema with a change somewhere in it: pairs of chance have little in common."""
    if not isinstance(schema, dict) or draw(st.integers(0, 3)) == 0:
        return draw(SCHEMAS)
    places = [name for name, part in schema.items() if isinstance(part, (dict, list)) and part]
    if not places or draw(st.integers(0, 2)) == 0:
        kept = {name: part for name, part in schema.items() if draw(st.integers(0, 4))}
        return kept | (draw(NUMBER_LIMITS) if schema.get("type") in {"integer", "number"} else {})
    name = draw(st.sampled_from(places))
    return {**schema, name: draw(part_changed(name, schema[name]))}


@st.composite
def part_changed(draw: st.DrawFn, name: str, part: Any) -> Any:
    if name in {"enum", "required"}:
        return [one for one in part if draw(st.booleans())] or part
    if name == "properties":
        key = draw(st.sampled_from(NAMES))
        return {**part, key: draw(changed(part[key]) if key in part else SCHEMAS)}
    if isinstance(part, list):
        place = draw(st.integers(0, len(part) - 1))
        return [*part[:place], draw(changed(part[place])), *part[place + 1 :]]
    return draw(changed(part))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    old = draw(SCHEMAS)
    return old, draw(changed(old))


def allows(schema: Any, value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


def opened(schema: Any) -> Any:
    """The same to a reader who leaves unknown fields alone."""
    if isinstance(schema, dict):
        kept = {
            name: part for name, part in schema.items() if (name, part) != ("additionalProperties", False)
        }
        return {name: opened(part) for name, part in kept.items()}
    return [opened(each) for each in schema] if isinstance(schema, list) else schema


def closed(schema: Any) -> Any:
    """The same to a caller who sends no fields but those that are listed."""
    if not isinstance(schema, dict):
        return [closed(each) for each in schema] if isinstance(schema, list) else schema
    found = {name: closed(part) for name, part in schema.items()}
    return {"additionalProperties": False, **found} if schema.get("properties") else found


@st.composite
def fitting(draw: st.DrawFn, schema: Any) -> Any:
    """A value that the schema allows, most of the time."""
    if not isinstance(schema, dict) or draw(st.integers(0, 12)) == 0:
        return draw(VALUES)
    if "anyOf" in schema:
        return draw(fitting(draw(st.sampled_from(schema["anyOf"]))))
    if "enum" in schema or "const" in schema:
        return draw(st.sampled_from(schema.get("enum") or [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        parts = schema.get("prefixItems")
        if parts:
            return [draw(fitting(part)) for part in parts]
        size = draw(st.integers(schema.get("minItems", 0), max(3, schema.get("minItems", 0))))
        return [draw(fitting(schema.get("items", {}))) for _ in range(size)]
    if kind == "object":
        needed = schema.get("required", [])
        fields = schema.get("properties", {})
        more = schema.get("additionalProperties", {})
        chosen = {name: part for name, part in fields.items() if name in needed or draw(st.booleans())}
        found = {name: draw(fitting(part)) for name, part in chosen.items()}
        if not fields and isinstance(more, dict):
            found |= {name: draw(fitting(more)) for name in NAMES if draw(st.booleans())}
        return found
    known = {"integer": st.integers(-2, 3), "string": st.sampled_from(TEXTS), "null": st.none()}
    if kind == "number":
        return draw(st.sampled_from([-1.5, 0, 0.5, 1, 2]))
    return draw(known.get(str(kind), SCALARS))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.data())
def test_what_is_not_said_does_not_happen(pair: tuple[Any, Any], data: st.DataObject) -> None:
    old, new = pair
    kinds = {fact.kind for fact in Schemas(old, new).facts()}
    sent = [data.draw(fitting(old)) for _ in range(4)]
    if not kinds & {"narrower", "other", "removed"}:
        for value in sent:
            assert not allows(closed(old), value) or allows(new, value), value
    answers = [data.draw(fitting(new)) for _ in range(4)]
    if not kinds & {"wider", "other", "removed"}:
        for value in answers:
            assert not allows(new, value) or allows(opened(old), value), value


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS)
def test_a_schema_is_like_itself_however_it_is_written(schema: Any) -> None:
    titled = {**schema, "title": "T", "description": "words"}
    assert Schemas(schema, titled).facts() == []
    assert Schemas({"$ref": "#/$defs/S", "$defs": {"S": schema}}, schema).facts() == []


def behind(schema: Any, way: str) -> dict[str, Any]:
    """A schema whose own words are the same whatever it refers to."""
    part, defined = {"$ref": "#/$defs/S"}, {"$defs": {"S": schema}}
    ways: dict[str, dict[str, Any]] = {
        "list": {"type": "array", "items": part, **defined},
        "list in a field": {
            "type": "object",
            "properties": {"q": {"type": "array", "items": {"$ref": "#/$defs/R"}}},
            "$defs": {"R": {"type": "object", "properties": {"s": part}}, "S": schema},
        },
        "map": {"type": "object", "additionalProperties": part, **defined},
        "alternative": {"type": "object", "properties": {"p": {"anyOf": [{**part, **defined}]}}},
    }
    return ways[way]


@pytest.mark.parametrize("way", ["list", "list in a field", "map", "alternative"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs())
def test_what_a_reference_leads_to_is_compared_wherever_it_stands(way: str, pair: tuple[Any, Any]) -> None:
    one, other = ({"type": "object", "properties": {"x": each}, "required": ["x"]} for each in pair)
    kinds = [fact.kind for fact in Schemas(one, other).facts()]
    found = [fact.kind for fact in Schemas(behind(one, way), behind(other, way)).facts()]
    assert set(found) == set(kinds)


def test_a_type_that_holds_itself_is_compared_once() -> None:
    kids = {"type": "array", "items": {"$ref": "#/$defs/P"}}
    old = {"type": "object", "properties": {"kids": kids}}
    new = {**old, "properties": {"kids": kids, "z": {}}, "required": ["z"]}
    found = Schemas(*({"$ref": "#/$defs/P", "$defs": {"P": each}} for each in (old, new))).facts()
    assert [(fact.path, fact.kind) for fact in found] == [(".z", "narrower")]


def test_optional_records_in_optional_records() -> None:
    old, new = {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}
    for level in range(10):
        old, new = (
            {
                "anyOf": [
                    {"type": "object", "title": f"Level{level}", "properties": {"next": inner}},
                    {"type": "null"},
                ]
            }
            for inner in (old, new)
        )
    (fact,) = Schemas(old, new).facts()
    assert (fact.path, fact.kind) == (".next" * 10, "narrower")
