"""What callers of a service, or of a model's methods, feel of a change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...runtime.manifest import ApiSpec, MethodSpec, ServiceSpec, TypeSpec
from .change import Change, as_changes, words
from .types import type_facts


def service_changes(old: ServiceSpec, new: ServiceSpec) -> list[Change]:
    """Breaking ones first, else in the order of the routes."""
    found = [*_routes(old, new), *_mounts(old, new)]
    return sorted(found, key=lambda change: not change.breaking)


def method_changes(old: Mapping[str, MethodSpec], new: Mapping[str, MethodSpec]) -> list[Change]:
    """The same of the methods of a model."""
    found = []
    for name, method in old.items():
        where = f"{name}()"
        if name not in new:
            found.append(Change(path=where, what="method removed", breaking=True))
            continue
        other = new[name]
        if method.batch != other.batch:
            what = "takes batches now" if other.batch else "takes one call at a time now"
            found.append(Change(path=where, what=what, breaking=True))
        found += _inputs(where, method.inputs, other.inputs, {}, {})
        found += as_changes(f"{where}: output", "output", type_facts(method.output, other.output))
    found += [Change(path=f"{name}()", what="new method", breaking=False) for name in new if name not in old]
    return sorted(found, key=lambda change: not change.breaking)


def _routes(old: ServiceSpec, new: ServiceSpec) -> Iterator[Change]:
    by_route = {api.route: api for api in new.apis}
    by_name = {api.name: api for api in new.apis}
    known = {api.route for api in old.apis}
    met = set()
    for api in old.apis:
        where = f"POST {api.route}"
        other = by_route.get(api.route)
        if other is None and api.name in by_name:
            other = by_name[api.name]
            yield Change(path=where, what=f"route moved to {other.route}", breaking=True)
        elif other is None:
            alike = [each for each in new.apis if each.route not in known and _alike(api, each)]
            now = f"; {alike[0].route} takes and gives the same" if len(alike) == 1 else ""
            yield Change(path=where, what=f"route removed{now}", breaking=True)
            continue
        elif other.name != api.name:
            what = f"is called {other.name} now, was {api.name}: gRPC and tiffin.Client use the name"
            yield Change(path=where, what=what, breaking=True)
        met.add(other.route)
        yield from _api(where, api, other)
    for api in new.apis:
        if api.route not in met:
            yield Change(path=f"POST {api.route}", what="new route", breaking=False)


def _alike(one: ApiSpec, other: ApiSpec) -> bool:
    """Whether it is the same under another name, as far as types can tell."""
    return (one.inputs, one.output, one.stream) == (other.inputs, other.output, other.stream)


def _api(where: str, old: ApiSpec, new: ApiSpec) -> Iterator[Change]:
    yield from _inputs(where, old.inputs, new.inputs, old.defaults, new.defaults)
    yield from as_changes(f"{where}: output", "output", type_facts(old.output, new.output))
    if old.stream != new.stream:
        yield Change(
            path=where, what="is a stream now" if new.stream else "is no stream any more", breaking=True
        )
    if old.input_stream != new.input_stream:
        what = f"stream of input {old.input_stream or 'none'} → {new.input_stream or 'none'}"
        yield Change(path=where, what=what, breaking=bool(old.input_stream))
    if old.max_body_bytes != new.max_body_bytes:
        what = f"largest body {old.max_body_bytes} → {new.max_body_bytes} bytes"
        yield Change(path=where, what=what, breaking=new.max_body_bytes < old.max_body_bytes)
    if old.timeout_s != new.timeout_s:
        yield Change(path=where, what=f"time-out {old.timeout_s:g} → {new.timeout_s:g} s", breaking=False)


def _inputs(
    where: str,
    old: Mapping[str, TypeSpec],
    new: Mapping[str, TypeSpec],
    defaults: Mapping[str, Any],
    new_defaults: Mapping[str, Any],
) -> Iterator[Change]:
    for name, spec in old.items():
        place = f"{where}: input {name}"
        if name not in new:
            yield Change(path=place, what="input removed", breaking=True)
            continue
        yield from as_changes(place, "input", type_facts(spec, new[name]))
        if name in defaults and name not in new_defaults:
            yield Change(path=place, what="input became required", breaking=True)
        elif name in new_defaults and name not in defaults:
            yield Change(path=place, what="input became optional", breaking=False)
        elif name in defaults and defaults[name] != new_defaults[name]:
            what = f"default {words(defaults[name])} → {words(new_defaults[name])}"
            yield Change(path=place, what=what, breaking=False)
    for name in new:
        if name not in old:
            needed = name not in new_defaults
            what = f"new {'required' if needed else 'optional'} input"
            yield Change(path=f"{where}: input {name}", what=what, breaking=needed)


def _mounts(old: ServiceSpec, new: ServiceSpec) -> Iterator[Change]:
    before, after = set(old.mounts.values()), set(new.mounts.values())
    for path in sorted(before - after):
        yield Change(path=path, what="application removed", breaking=True)
    for path in sorted(after - before):
        yield Change(path=path, what="new application", breaking=False)
