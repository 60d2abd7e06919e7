"""What differs between bundles and models, and which of it breaks callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import write

from tiffin.bundler import models
from tiffin.bundler.build import build
from tiffin.bundler.diff.bundles import diff_bundles
from tiffin.bundler.diff.change import Change, Fact, delta
from tiffin.bundler.diff.json_schemas import Schemas
from tiffin.bundler.diff.models import diff_models
from tiffin.bundler.diff.services import method_changes, service_changes
from tiffin.bundler.diff.types import type_facts
from tiffin.runtime.manifest import ApiSpec, MethodSpec, ServiceSpec, TypeSpec


def array(dtype: str = "float32", shape: list[int | str] | None = None) -> TypeSpec:
    return TypeSpec(kind="array", dtype=dtype, shape=["n", 4] if shape is None else shape)


def api(**fields: Any) -> ApiSpec:
    return ApiSpec(
        **{
            "name": "run",
            "route": "/run",
            "inputs": {"x": array()},
            "output": array("int64", ["n"]),
            **fields,
        }
    )


def service(*apis: ApiSpec, **fields: Any) -> ServiceSpec:
    return ServiceSpec(name="s", cls="m:S", apis=list(apis) or [api()], **fields)


def json(**schema: Any) -> TypeSpec:
    return TypeSpec(kind="json", json_schema=schema)


def record(*required: str, **properties: Any) -> TypeSpec:
    return json(type="object", properties=properties, required=list(required))


TEXT, NUMBER = {"type": "string"}, {"type": "number"}

BREAKING = [
    ("route removed", service(api(), api(name="b", route="/b")), service(), "POST /b", "route removed"),
    ("route moved", service(), service(api(route="/v2/run")), "POST /run", "route moved to /v2/run"),
    ("renamed", service(), service(api(name="go")), "POST /run", "is called go now"),
    (
        "new required input",
        service(),
        service(api(inputs={"x": array(), "y": array()})),
        "input y",
        "new required",
    ),
    ("input removed", service(), service(api(inputs={})), "input x", "input removed"),
    (
        "default gone",
        service(api(defaults={"x": 1})),
        service(),
        "input x",
        "input became required",
    ),
    (
        "dtype narrowed",
        service(),
        service(api(inputs={"x": array("float16")})),
        "input x",
        "float32 → float16",
    ),
    ("dtype other", service(), service(api(inputs={"x": array("int64")})), "input x", "float32 → int64"),
    ("shape fixed", service(), service(api(inputs={"x": array(shape=[1, 4])})), "input x", "[n, 4] → [1, 4]"),
    (
        "shape other",
        service(),
        service(api(inputs={"x": array(shape=["n", 5])})),
        "input x",
        "[n, 4] → [n, 5]",
    ),
    ("rank", service(), service(api(inputs={"x": array(shape=["n", 4, 1])})), "input x", "[n, 4, 1]"),
    ("kind", service(), service(api(inputs={"x": TypeSpec(kind="image")})), "input x", "image"),
    ("output dtype", service(), service(api(output=array("float64", ["n"]))), "output", "int64 → float64"),
    ("output wider", service(), service(api(output=array("int64", []))), "output", "shape"),
    ("output kind", service(), service(api(output=json(**TEXT))), "output", "→"),
    ("stream", service(), service(api(stream=True)), "POST /run", "is a stream now"),
    ("body", service(), service(api(max_body_bytes=10)), "POST /run", "largest body"),
    ("mount", service(mounts={"app": "/app"}), service(), "/app", "application removed"),
    (
        "output field removed",
        service(api(output=record("a", "b", a=TEXT, b=TEXT))),
        service(api(output=record("a", a=TEXT))),
        "output.b",
        "field removed",
    ),
    (
        "output field may be missing",
        service(api(output=record("a", a=TEXT))),
        service(api(output=record(a=TEXT))),
        "output.a",
        "may be missing",
    ),
    (
        "output field type",
        service(api(output=record("a", a=TEXT))),
        service(api(output=record("a", a=NUMBER))),
        "output.a",
        "string → number",
    ),
    (
        "new required field",
        service(api(inputs={"x": record("a", a=TEXT)})),
        service(api(inputs={"x": record("a", "b", a=TEXT, b=TEXT)})),
        "input x.b",
        "new required field",
    ),
    (
        "column",
        service(api(inputs={"x": TypeSpec(kind="dataframe", columns={"a": "int64"})})),
        service(api(inputs={"x": TypeSpec(kind="dataframe", columns={"a": "int32", "b": "str"})})),
        "input x['b']",
        "new column",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "path", "what"), [case[1:] for case in BREAKING], ids=[c[0] for c in BREAKING]
)
def test_what_breaks_callers(old: ServiceSpec, new: ServiceSpec, path: str, what: str) -> None:
    changes = service_changes(old, new)
    assert changes[0].breaking
    assert any(c.breaking and path in c.path and what in c.what for c in changes), changes


HARMLESS = [
    ("new route", service(), service(api(), api(name="b", route="/b"))),
    ("new optional input", service(), service(api(inputs={"x": array(), "y": array()}, defaults={"y": 1}))),
    ("wider input", service(), service(api(inputs={"x": array("float64")}))),
    ("freer shape", service(), service(api(inputs={"x": array(shape=["n", "m"])}))),
    ("any dtype", service(), service(api(inputs={"x": TypeSpec(kind="array", shape=["n", 4])}))),
    ("narrower output", service(), service(api(output=array("int32", ["n"])))),
    ("fixed output", service(), service(api(output=array("int64", [1])))),
    ("larger body", service(), service(api(max_body_bytes=1 << 40))),
    ("time-out", service(), service(api(timeout_s=1.0))),
    (
        "new output field",
        service(api(output=record("a", a=TEXT))),
        service(api(output=record("a", "b", a=TEXT, b=TEXT))),
    ),
    (
        "other default",
        service(api(defaults={"x": 1})),
        service(api(defaults={"x": 2})),
    ),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in HARMLESS], ids=[case[0] for case in HARMLESS])
def test_what_does_not(old: ServiceSpec, new: ServiceSpec) -> None:
    if old == service(api(output=record("a", a=TEXT))):  # what comes back may say more, not what is sent
        assert [(c.path, c.what) for c in service_changes(old, new)] == [
            ("POST /run: output.b", "new required field")
        ]
    changes = service_changes(old, new)
    assert changes
    assert [change for change in changes if change.breaking] == []


def test_a_route_with_another_name_and_path() -> None:
    new = service(api(name="go", route="/go"), api(name="odd", route="/odd", inputs={}))
    assert service_changes(service(), new)[0].what == "route removed; /go takes and gives the same"
    two = service(api(name="go", route="/go"), api(name="up", route="/up"))
    assert service_changes(service(), two)[0].what == "route removed"


def test_nothing_differs() -> None:
    assert service_changes(service(), service()) == []
    renamed = service(api(inputs={"x": array(shape=["rows", 4])}))
    assert service_changes(service(), renamed) == []  # names of axes are nobody's business
    tied = service(api(inputs={"x": array(shape=["n", "n"])}))
    free = service(api(inputs={"x": array(shape=["n", "m"])}))
    assert service_changes(free, tied)[0].breaking


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ({}, {"type": "string"}, ["narrower"]),
        ({"type": "number"}, {"type": "integer"}, ["narrower"]),
        ({"type": "integer"}, {"type": "number"}, ["wider"]),
        ({"enum": ["a", "b"]}, {"enum": ["a", "c"]}, ["narrower", "wider"]),
        ({"const": 1}, {"const": True}, ["narrower", "wider"]),
        ({"minimum": 0}, {"minimum": 1}, ["narrower"]),
        ({"maximum": 5}, {"maximum": 9}, ["wider"]),
        ({"maxLength": 5}, {}, ["wider"]),
        ({"pattern": "a"}, {"pattern": "b"}, ["other"]),
        ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, ["narrower"]),
        (TEXT, {"anyOf": [TEXT, {"type": "null"}]}, ["wider"]),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": NUMBER}, ["other"]),
        ({"type": "array", "prefixItems": [TEXT]}, {"type": "array", "prefixItems": [TEXT, TEXT]}, ["other"]),
        (
            {"type": "object", "additionalProperties": NUMBER},
            {"type": "object", "additionalProperties": TEXT},
            ["other"],
        ),
        ({"type": "string", "title": "A"}, {"type": "string", "title": "B", "description": "?"}, []),
        (
            {
                "$ref": "#/$defs/A",
                "$defs": {"A": {"type": "object", "properties": {"next": {"$ref": "#/$defs/A"}}}},
            },
            {
                "$ref": "#/$defs/B",
                "$defs": {"B": {"type": "object", "properties": {"next": {"$ref": "#/$defs/B"}}}},
            },
            [],
        ),
        ({"$ref": "#/$defs/Nowhere"}, {"$ref": "#/$defs/Nowhere", "title": "x"}, []),
        ({"$ref": "#"}, {"$ref": 5, "items": 3}, []),
        ({"minimum": 0}, {"exclusiveMinimum": 0}, ["narrower"]),
        ({"exclusiveMaximum": 5}, {"maximum": 5}, ["wider"]),
        ({"minimum": 0, "exclusiveMinimum": 3}, {"minimum": 1, "exclusiveMinimum": 3}, []),
        ({"type": "string"}, {"type": "string", "format": "uuid"}, ["narrower"]),
        ({"type": "array", "uniqueItems": True}, {"type": "array"}, ["wider"]),
        ({"type": "array"}, {"type": "array", "minItems": 0}, []),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}},
            {"type": "object", "properties": {"a": {"type": "integer", "default": 2}}},
            ["harmless"],
        ),
    ],
)
def test_json_schemas(old: dict[str, Any], new: dict[str, Any], kinds: list[str]) -> None:
    assert [fact.kind for fact in Schemas(old, new).facts()] == kinds


P = {"title": "P", "type": "object", "properties": {"a": TEXT}, "required": ["a"]}
P2 = {"title": "P", "type": "object", "properties": {"a": TEXT, "b": NUMBER}, "required": ["a", "b"]}
Q = {"title": "Q", "type": "object", "properties": {"q": TEXT}, "required": ["q"]}
NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ([P, NULL], [P2, NULL], [(".b", "narrower", "new required field")]),
        ([P, NULL], [P2], [(".b", "narrower", "new required field"), ("", "narrower", "no longer null")]),
        ([P], [P2, NULL], [(".b", "narrower", "new required field"), ("", "wider", "may be null, too")]),
        ([P, Q], [Q, P2], [(".b", "narrower", "new required field")]),
        ([P2], [P, Q], [(".b", "removed", "field removed"), ("", "wider", "may be object Q, too")]),
        ([P, Q], [P], [("", "narrower", "no longer object Q")]),
        (
            [{"type": "integer", "minimum": 0}, TEXT],
            [{"type": "integer", "minimum": 1}, TEXT],
            [("", "narrower", "minimum 0 → minimum 1")],
        ),
        (
            [{"type": "integer", "minimum": 1}, TEXT],
            [{"type": "integer"}, TEXT],
            [("", "wider", "minimum 1 → no minimum")],
        ),
        (
            [TEXT, NULL],
            [NUMBER, NULL],
            [("", "narrower", "no longer string"), ("", "wider", "may be number, too")],
        ),
    ],
)
def test_alternatives_are_told_in_detail(old: list[Any], new: list[Any], facts: list[Any]) -> None:
    def document(choices: list[Any]) -> dict[str, Any]:
        named = {one["title"]: one for one in choices if "title" in one}
        refs = [{"$ref": f"#/$defs/{one['title']}"} if "title" in one else one for one in choices]
        return {**({"anyOf": refs} if len(refs) > 1 else refs[0]), "$defs": named}

    assert Schemas(document(old), document(new)).facts() == [Fact(*fact) for fact in facts]


def test_a_schema_that_holds_itself_often_ends() -> None:
    def document(kind: str) -> dict[str, Any]:
        fields = {name: {"$ref": "#"} for name in "abcdefgh"}
        return {"type": "object", "properties": {**fields, "leaf": {"type": kind}}}

    facts = Schemas(document("string"), document("number")).facts()
    assert Fact(".leaf", "other", "string → number") in facts


def test_what_was_too_large_to_compare_is_told() -> None:
    def document(kind: str) -> dict[str, Any]:
        names = "abcdefgh"
        fields = {name: {"$ref": f"#/$defs/{name}"} for name in names}
        types = {name: {"type": "object", "title": name, "properties": {**fields}} for name in names}
        types["h"]["properties"]["leaf"] = {"type": kind}
        return {"$ref": "#/$defs/a", "$defs": types}

    assert Schemas(document("string"), document("string")).facts() == []
    *_, last = Schemas(document("string"), document("number")).facts()
    assert (last.kind, last.what) == (
        "other",
        "too large to compare in full: only 5000 parts, 24 levels deep",
    )


def test_dtypes_that_numpy_does_not_know() -> None:
    assert type_facts(array("bfloat16"), array("float32"))[0].kind == "wider"
    assert type_facts(array("float16"), array("bfloat16"))[0].kind == "other"
    assert type_facts(array("str"), array("str")) == []


def test_methods_of_a_model() -> None:
    old = {"predict": MethodSpec(inputs={"x": array()}), "score": MethodSpec()}
    new = {"predict": MethodSpec(batch=False, inputs={"x": array()}), "transform": MethodSpec()}
    assert method_changes(old, new) == [
        Change(path="predict()", what="takes one call at a time now", breaking=True),
        Change(path="score()", what="method removed", breaking=True),
        Change(path="transform()", what="new method", breaking=False),
    ]


def test_tables() -> None:
    found = delta({"a": 1, "b": "x", "n": float("nan")}, {"b": "y", "c": [1], "n": float("nan")})
    assert (found.removed, found.changed, found.added) == ({"a": "1"}, {"b": ["x", "y"]}, {"c": "[1]"})
    assert not delta({"a": 1}, {"a": 1})


SERVICE = """
import numpy as np
import tiffin
from jaxtyping import Float32

@tiffin.service
class Sum:
    adder = tiffin.runner("adder:latest", workers={workers})

    @tiffin.api{route}
    async def add(self, x: Float32[np.ndarray, "n {width}"]) -> list[float]:
        return (await self.adder(x)).tolist()
"""


def total(x: Any) -> Any:
    return x.sum(axis=1)


def test_two_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    rows = np.ones((2, 3), "float32")
    first = models.save("adder", total, example=rows, metrics={"loss": 0.5}, data="s3://b/1", classes=None)
    project = write(
        tmp_path / "project",
        {"service.py": SERVICE.format(workers=1, width=3, route=""), "requirements.txt": "attrs==23.1.0\n"},
    )
    a = build(project, lock=False, metrics={"speed": 1.0})
    second = models.save("adder", total, example=rows.astype("float64"), metrics={"loss": 0.4}, parent=first)
    write(
        project,
        {
            "service.py": SERVICE.format(workers="2, max_latency_ms=50", width=4, route="(route='/sum')"),
            "requirements.txt": "attrs==23.2.0\n",
            "bundlefile.yaml": "service: service:Sum\nimage: {env: {A: b}}\n",
        },
    )
    b = build(project, lock=False, labels={"team": "x"}, metrics={"speed": 2.0})
    found = diff_bundles(a, b)
    assert not found.same
    assert [change.what for change in found.breaking] == ["route moved to /sum", "shape [n, 3] → [n, 4]"]
    assert found.packages["requirements.in"].changed == {"attrs": ["23.1.0", "23.2.0"]}
    assert found.files.changed.keys() >= {"src/service.py", "env/python/requirements.in"}
    assert found.runners.changed == {"adder.workers": ["1", "2"], "adder.max_latency_ms": ["", "50.0"]}
    assert found.image.added == {"env.A": "b"}
    assert found.metrics.changed == {"speed": ["1.0", "2.0"]}
    assert found.settings.added["label team"] == "x"
    (model,) = found.models
    assert (model.a, model.b) == (str(first.tag), str(second.tag))
    assert (model.same, model.metrics.changed) == (True, {"loss": ["0.5", "0.4"]})
    assert model.origin.added["parent.tag"] == str(first.tag)
    assert model.origin.removed == {"data.0": "s3://b/1"}
    assert not diff_bundles(a, a)
    same = diff_models(first.info, first.info)
    assert (bool(same), same.breaking) == (False, [])
