"""Why uv finds no versions: the two requirements that exclude each other are named before its own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

from .environment import Environment
from .indexes import variable
from .needs import Index, Wanted, canonical

_NO_SOLUTION = "No solution found"
_REFUSED = re.compile(r"An index(?: URL)? \((?P<url>\S+)\) [^.]*?(?P<status>401|403)")
# `scikit-learn>=1.4,<2` as uv writes it.
_SAID = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?P<spec>(?:[=<>!~]=?=?\s?[\w.*+!]+,?)+)"
)
_REQUIRED = re.compile(r"\byou require (?P<what>.+?)(?=,? we can conclude|\.\s|\.$|$)", re.DOTALL)


class _Rule(NamedTuple):
    name: str
    specifier: str
    wanted: Wanted

    @property
    def words(self) -> str:
        return f"{self.name}{self.specifier} from {self.wanted.where}"


def opposed(wanted: Sequence[Wanted], where: Environment) -> str:
    """The first two requirements that exclude each other by themselves, whatever any index has.

    Args:
        wanted: all that was asked for.
        where: requirements whose marker is false there do not count.

    Returns:
        A sentence without its full stop; empty when there are none.
    """
    rules = [rule for each in wanted if (rule := _rule(each, where))]
    for one, other in combinations(rules, 2):
        if one.name == other.name and excludes(one.specifier, other.specifier):
            return f"{one.words} and {other.words} exclude each other"
    return ""


def culprits(words: str, wanted: Sequence[Wanted], where: Environment) -> str:
    """Which requirements uv could not bring together, where none are `opposed`.

    Args:
        words: what uv wrote.
        wanted: all that was asked for.
        where: requirements whose marker is false there do not count.

    Returns:
        A sentence without its full stop; empty when uv failed for another reason.
    """
    if _NO_SOLUTION not in words:
        return ""
    said = _mentioned(words, [rule for each in wanted if (rule := _rule(each, where))])
    if len(said) >= 2:
        return f"{said[0].words} and {said[1].words} exclude each other"
    return f"{said[0].words} cannot be had" if said else ""


def refused(words: str, indexes: Sequence[Index]) -> str:
    """Which index let nobody in, and what to give it; empty: none did.

    Args:
        words: what uv wrote.
        indexes: those that have names.
    """
    found = _REFUSED.search(" ".join(words.split()))
    if found is None:
        return ""
    url = found["url"].rstrip("/")
    name = next((index.name for index in indexes if index.url.rstrip("/") == url), "")
    variables = f"{variable(name)}_USERNAME and {variable(name)}_PASSWORD, " if name else ""
    return (
        f"the index {f'{name} ({url})' if name else url} answers {found['status']}: give it a user and a "
        f"password by {variables}~/.netrc or a keyring (UV_KEYRING_PROVIDER=subprocess)"
    )


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
