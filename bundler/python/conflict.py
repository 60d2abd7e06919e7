"""Which two requirements keep uv from finding versions: they are named before its own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

from .environment import Environment
from .needs import Wanted, canonical

_NO_SOLUTION = "No solution found"
_NOT_REACHED = ("network was disabled", "not found in the cache")
# `scikit-learn>=1.4,<2` as uv writes it.
_SAID = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?P<spec>(?:[=<>!~]=?=?\s?[\w.*+!]+,?)+)"
)
_REQUIRED = re.compile(r"\byou require (?P<what>.+?)(?=,? we can conclude|\.\s|\.$|$)", re.DOTALL)


class Conflict(NamedTuple):
    """Why there is no solution."""

    sentence: str
    certain: bool
    """Whether the two exclude each other by themselves, whatever any index has."""


class _Rule(NamedTuple):
    name: str
    specifier: str
    wanted: Wanted

    @property
    def words(self) -> str:
        return f"{self.name}{self.specifier} from {self.wanted.where}"


def find_conflict(words: str, wanted: Sequence[Wanted], where: Environment) -> Conflict | None:
    """
    Args:
        words: what uv wrote.
        wanted: all that was asked for.
        where: requirements whose marker is false there do not count.

    Returns:
        None: uv failed for another reason.
    """
    if _NO_SOLUTION not in words or any(mark in words for mark in _NOT_REACHED):
        return None
    rules = [rule for each in wanted if (rule := _rule(each, where))]
    for one, other in combinations(rules, 2):
        if one.name == other.name and excludes(one.specifier, other.specifier):
            return Conflict(f"{one.words} and {other.words} exclude each other", certain=True)
    said = _mentioned(words, rules)
    if len(said) >= 2:
        return Conflict(f"{said[0].words} and {said[1].words} exclude each other", certain=False)
    if said:
        return Conflict(f"{said[0].words} cannot be had", certain=False)
    return None


def excludes(one: str, other: str) -> bool:
    """Whether no version is allowed by both, as far as the versions that they name tell.

    Args:
        one: `>=1.6`
        other: `==1.4`, `<1.5,>=1`
    """
    from packaging.specifiers import SpecifierSet

    rules = [SpecifierSet(one), SpecifierSet(other)]
    named = [each.version.removesuffix(".*") for each in (*rules[0], *rules[1])]
    # Between two named versions everything is alike, and so it is before the first and behind the last.
    tried = {"0", *(f"{version}{more}" for version, more in product(named, ("", ".0.0.0.1", ".dev0")))}
    return (
        bool(rules[0])
        and bool(rules[1])
        and not any(
            all(rule.contains(version, prereleases=True) for rule in rules)
            for version in tried
            if _is_version(version)
        )
    )


def _is_version(text: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        Version(text)
    except InvalidVersion:  # `1.0.post1.0.0.0.1`
        return False
    return True


def _rule(wanted: Wanted, where: Environment) -> _Rule | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        found = Requirement(wanted.text)
    except InvalidRequirement:
        return None
    if found.url or not where.holds(str(found.marker or "")):
        return None
    return _Rule(canonical(found.name), _ordered(str(found.specifier), wanted.text), wanted)


def _ordered(specifier: str, text: str) -> str:
    """As the user wrote it, where that can be told: packaging gives the parts in an order of its own."""
    found = _SAID.search(text.replace(" ", ""))
    written = found["spec"] if found else ""
    return written if sorted(written.split(",")) == sorted(specifier.split(",")) else specifier


def _mentioned(words: str, rules: Sequence[_Rule]) -> list[_Rule]:
    """Requirements that uv names, those behind `you require` first; each package once."""
    text = " ".join(words.split())
    required = " ".join(found["what"] for found in _REQUIRED.finditer(text))
    found: dict[str, _Rule] = {}
    for part in (required, text):
        for said in _SAID.finditer(part):
            name, parts = canonical(said["name"]), sorted(said["spec"].replace(" ", "").strip(",").split(","))
            for rule in rules:
                if rule.name == name and sorted(rule.specifier.split(",")) == parts:
                    found.setdefault(name, rule)
        for rule in rules:  # one without a version
            if not rule.specifier and re.search(rf"(?<![\w-]){re.escape(rule.name)}(?![\w=<>!~-])", part):
                found.setdefault(rule.name, rule)
        if len(found) >= 2:
            break
    return list(found.values())
