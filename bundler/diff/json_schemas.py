"""How two JSON Schemas differ: what one allows and the other does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from .change import Fact, Kind, words

MAX_DEPTH = 24
MAX_PARTS = 5_000
"""Parts that are compared."""
_LESS = {"narrower", "other", "removed"}
"""Kinds of facts after which something that was allowed is not."""
_MORE = {"wider", "other", "removed"}
"""Kinds of facts after which something is allowed that was not."""
_FELT = _LESS | _MORE
"""Kinds of facts that a caller may feel."""
_LOWEST = ("minLength", "minItems", "minProperties")
_HIGHEST = ("maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "contentEncoding", "contentMediaType", "uniqueItems")


class Schemas:
    """Two documents, and what differs between their parts.

    Args:
        old: root, with its `$defs`.
        new: the same of the other.
    """

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old, self._new = _rooted(old), _rooted(new)
        self._left = MAX_PARTS
        self._cut = False
        self._open: set[tuple[str, str]] = set()

    def facts(self) -> list[Fact]:
        """In the order of the documents; the last tells when they were too large to compare all of them."""
        if words(self._old) == words(self._new):
            return []
        found = list(self._differ(self._old, self._new, "", 0))
        if self._cut:
            bounds = f"only {MAX_PARTS} parts, {MAX_DEPTH} levels deep"
            found.append(Fact("", "other", f"too large to compare in full: {bounds}"))
        return found

    def _differ(self, old: Any, new: Any, path: str, depth: int) -> Iterator[Fact]:
        if (old is False) != (new is False):
            yield Fact(path, *(("narrower", "nothing fits") if new is False else ("wider", "may be there")))
            return
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        self._left -= 1  # types that hold themselves in several places branch without end
        pair = (words(old), words(new))
        # The same words may refer to what is another now. What holds itself is compared once.
        same = pair[0] == pair[1] and '"$ref"' not in pair[0]
        if same or pair in self._open:
            return
        if self._left < 0 or depth > MAX_DEPTH:
            self._cut = True
            return
        self._open.add(pair)
        try:
            yield from self._parts(old, new, path, depth)
        finally:
            self._open.discard(pair)

    def _parts(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str, depth: int) -> Iterator[Fact]:
        if any(key in schema for key in ("anyOf", "oneOf") for schema in (old, new)):
            yield from self._choices(old, new, path, depth)
            return
        yield from _types(old, new, path)
        yield from _values(old, new, path)
        yield from _bounds(old, new, path)
        yield from self._properties(old, new, path, depth)
        yield from self._items(old, new, path, depth)

    def _choices(self, old: Any, new: Any, path: str, depth: int) -> Iterator[Fact]:
        """Each alternative must have one on the other side that allows all of it."""
        before, after = _alternatives(old), _alternatives(new)
        ours, theirs = range(len(before)), range(len(after))

        @cache  # a pair is asked for several times, and every comparison counts against MAX_PARTS
        def between(one: int, other: int) -> list[Fact]:
            return [*self._differ(before[one], after[other], path, depth + 1)]

        def is_heir(one: int, other: int) -> bool:
            return self._is_heir(before[one], after[other])

        lost = [one for one in ours if all(_kinds(between(one, other)) & _LESS for other in theirs)]
        gained = [other for other in theirs if all(_kinds(between(one, other)) & _MORE for one in ours)]
        for one in ours:
            if one not in lost:  # what differs although the same is allowed: a default, for example
                told = [between(one, other) for other in theirs if is_heir(one, other)]
                yield from min((facts for facts in told if not _kinds(facts) & _FELT), key=len, default=())
        for one in [*lost]:  # what became of one is said in detail
            heir = next((other for other in [*gained, *theirs] if is_heir(one, other)), None)
            if heir is not None:
                lost.remove(one)
                gained = [other for other in gained if other != heir]
                yield from between(one, heir)
        for other in [*gained]:
            parent = next((one for one in ours if is_heir(one, other)), None)
            if parent is not None:
                gained.remove(other)
                yield from between(parent, other)
        if lost:
            yield Fact(path, "narrower", f"no longer {_names([before[one] for one in lost])}")
        if gained:
            yield Fact(path, "wider", f"may be {_names([after[other] for other in gained])}, too")

    def _is_heir(self, one: Any, other: Any) -> bool:
        """Whether people would say that it is the same alternative, in another form."""
        old, new = _resolved(one, self._old), _resolved(other, self._new)
        if _type_names(old) != _type_names(new):
            return False
        named = [schema.get("title") for schema in (old, new)]
        return None in named or named[0] == named[1]

    def _properties(self, old: Any, new: Any, path: str, depth: int) -> Iterator[Fact]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            place = f"{path}.{name}"
            if name not in after:
                yield Fact(place, "removed", "field removed")
                continue
            yield from self._differ(before[name], after[name], place, depth + 1)
            yield from _defaults(before[name], after[name], place)
            if name in needed_after - needed_before:
                yield Fact(place, "narrower", "field became required")
            elif name in needed_before - needed_after:
                yield Fact(place, "wider", "field may be missing")
        free = old.get("additionalProperties", True) if _is_map(old) else None
        for name in after:
            if name in before or old.get("type") != new.get("type"):
                continue
            place = f"{path}.{name}"
            if free is not None:  # under any name something could come before
                yield from self._differ({} if free is True else free, after[name], place, depth + 1)
            needed = name in needed_after
            kind: Kind = "narrower" if needed else "harmless"
            yield Fact(place, kind, f"new {'required' if needed else 'optional'} field")
        yield from self._others(old, new, path, depth)

    def _others(self, old: Any, new: Any, path: str, depth: int) -> Iterator[Fact]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if (isinstance(before, bool) and before is after) or "object" not in {
            old.get("type"),
            new.get("type"),
        }:
            return
        if after is False:
            yield Fact(path, "narrower", "other fields are refused")
        elif before is False:
            yield Fact(path, "harmless", "other fields are let pass")
        else:
            one, other = ({} if each is True else each for each in (before, after))
            yield from self._differ(one, other, f"{path}.*", depth + 1)

    def _items(self, old: Any, new: Any, path: str, depth: int) -> Iterator[Fact]:
        before, after = _listed(old), _listed(new)
        if before and after and len(before) != len(after):
            yield Fact(path, "other", f"had {len(before)} items, has {len(after)}")
            return
        for place in range(max(len(before), len(after))):
            one, other = (_item(schema, parts, place) for schema, parts in ((old, before), (new, after)))
            yield from self._differ(one, other, f"{path}[{place}]", depth + 1)
        one, other = (_item(schema, parts, len(parts)) for schema, parts in ((old, before), (new, after)))
        yield from self._differ(one, other, f"{path}[]", depth + 1)


def _listed(schema: Mapping[str, Any]) -> list[Any]:
    """The items that have a schema of their own each."""
    parts = schema.get("prefixItems")
    return parts if isinstance(parts, list) else []


def _item(schema: Mapping[str, Any], parts: list[Any], place: int) -> Any:
    return parts[place] if place < len(parts) else schema.get("items", {})


def _is_map(schema: Mapping[str, Any]) -> bool:
    """Whether it has values under names that nobody listed."""
    free = schema.get("additionalProperties", True)
    return isinstance(free, Mapping) or (free is True and not schema.get("properties"))


def _rooted(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the definitions of its parts at the root, where references look for them: `P | None` has them in
    the alternative."""
    found: dict[str, Any] = {}
    pending: list[Any] = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            defined = part.get("$defs")
            found = {**(defined if isinstance(defined, Mapping) else {}), **found}
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return {**schema, "$defs": found} if found else schema


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows `#/$defs/Name`; a chain of references that has no end means anything."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        found: Any = root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        schema = found
    return {}


def _types(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Fact]:
    before, after = _type_names(old), _type_names(new)
    if before == after:
        return
    if not before or not after:
        kind: Kind = "narrower" if after else "wider"
        yield Fact(path, kind, f"{_shown(before)} → {_shown(after)}")
        return
    lost = {name for name in before if name not in after and not (name == "integer" and "number" in after)}
    gained = {name for name in after if name not in before and not (name == "integer" and "number" in before)}
    kind = "other" if lost and gained else "narrower" if lost else "wider"
    yield Fact(path, kind, f"{_shown(before)} → {_shown(after)}")


def _values(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Fact]:
    before, after = _allowed(old), _allowed(new)
    if before == after:
        return
    if before is None or after is None:
        listed = ", ".join(after if after is not None else before or ())
        yield Fact(
            path,
            "narrower" if before is None else "wider",
            f"only {listed}" if before is None else f"no longer only {listed}",
        )
        return
    if lost := [value for value in before if value not in after]:
        yield Fact(path, "narrower", f"without {', '.join(lost)}")
    if gained := [value for value in after if value not in before]:
        yield Fact(path, "wider", f"also {', '.join(gained)}")


def _bounds(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Fact]:
    for what, sign in (("minimum", 1), ("maximum", -1)):
        before, after = _limit(old, what, sign), _limit(new, what, sign)
        if before != after:
            tighter = after is not None and (before is None or after > before)
            shown = f"{_shown_limit(before, what, sign)} → {_shown_limit(after, what, sign)}"
            yield Fact(path, "narrower" if tighter else "wider", shown)
    for name in (*_LOWEST, *_HIGHEST):
        least = 0 if name in _LOWEST else None
        before, after = old.get(name, least), new.get(name, least)
        if before == after:
            continue
        grew = before is not None and after is not None and after > before
        tighter = after is not None and (before is None or grew == (name in _LOWEST))
        kind: Kind = "narrower" if tighter else "wider"
        yield Fact(path, kind, f"{name} {_shown_bound(before)} → {_shown_bound(after)}")
    for name in _EXACT:
        before, after = old.get(name) or None, new.get(name) or None
        if before != after:
            kind = "narrower" if before is None else "wider" if after is None else "other"
            yield Fact(path, kind, f"{name} {_shown_bound(before)} → {_shown_bound(after)}")


def _limit(schema: Mapping[str, Any], what: str, sign: int) -> tuple[float, bool] | None:
    """The tighter of `minimum` and `exclusiveMinimum`: what is greater is tighter; of maxima the opposite."""
    found = [(name, schema[name]) for name in (what, f"exclusive{what.capitalize()}") if name in schema]
    limits = [(sign * value, name != what) for name, value in found if isinstance(value, (int, float))]
    return max(limits) if limits else None


def _shown_limit(limit: tuple[float, bool] | None, what: str, sign: int) -> str:
    if limit is None:
        return f"no {what}"
    value, exclusive = limit
    return f"{f'exclusive {what}' if exclusive else what} {words(sign * value)}"


def _defaults(old: Any, new: Any, path: str) -> Iterator[Fact]:
    """Beside a reference, where it is no part of what is referred to."""
    before, after = (
        words(each.get("default")) if isinstance(each, Mapping) else "null" for each in (old, new)
    )
    if before != after:
        yield Fact(path, "harmless", f"default {before} → {after}")


def _kinds(facts: Iterable[Fact]) -> set[Kind]:
    return {fact.kind for fact in facts}


def _alternatives(schema: Mapping[str, Any]) -> list[Any]:
    found = schema.get("anyOf", schema.get("oneOf"))
    return found if isinstance(found, list) else [schema]


def _type_names(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type")
    return [kind] if isinstance(kind, str) else list(kind) if isinstance(kind, list) else []


def _allowed(schema: Mapping[str, Any]) -> list[str] | None:
    """As text, because 1 is True to Python and not to JSON; None: any."""
    if "const" in schema:
        return [words(schema["const"])]
    values = schema.get("enum")
    return [words(value) for value in values] if isinstance(values, list) else None


def _names(schemas: list[Any]) -> str:
    return ", ".join(_name(schema) for schema in schemas)


def _name(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "anything"
    if isinstance(reference := schema.get("$ref"), str):
        return f"object {reference.rpartition('/')[2]}"
    allowed = _allowed(schema)
    return " or ".join(allowed) if allowed else _shown(_type_names(schema))


def _shown(names: list[str]) -> str:
    return " or ".join(names) or "anything"


def _shown_bound(value: Any) -> str:
    return "none" if value is None else words(value)
