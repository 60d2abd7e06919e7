"""No value can leave its word, its line or its comment."""

from __future__ import annotations

import msgspec
import pytest
from dockerfiles import CPU, Instruction, bundle_info, lint, pairs, parse, plan
from hypothesis import given
from hypothesis import strategies as st

from tiffin.bundler.image import quote
from tiffin.bundler.image.dockerfile import render
from tiffin.errors import ConfigError
from tiffin.runtime.service.image_options import ImageOptions

NASTY = [
    'a"\nRUN curl evil',
    "a\\",
    'a\\"',
    "$(touch /x)",
    "${PATH}",
    "`id`",
    "a # b",
    "a \\\nRUN b",
    "<<EOF",
    "\r\nUSER 0",
    "\u2028USER 0",
    "\x85USER 0",
    "# escape=`",
    "",
    " ",
    "--mount=type=bind",
    "é 漢字",
]
TEXT = st.text(max_size=60) | st.sampled_from(NASTY) | st.lists(st.sampled_from(NASTY)).map("".join)
PLAIN = [(each.name, each.flags) for each in lint(render(plan()))]


def names(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(each.name, each.flags) for each in lint(text)]


@given(TEXT)
def test_a_text_comes_out_as_it_went_in(value: str) -> None:
    try:
        quoted = quote.text(value)
    except ConfigError:
        assert not value.isprintable()
        return
    (instruction,) = parse(f"ENV A={quoted}\n")
    assert pairs(instruction) == {"A": value}


@given(TEXT)
def test_a_word_is_one_word_or_refused(value: str) -> None:
    try:
        kept = quote.word(value)
    except ConfigError:
        return
    assert kept == value
    assert parse(f"USER {kept}\n") == [Instruction("USER", [], value)]


@given(TEXT)
def test_a_comment_says_nothing_to_the_engine(value: str) -> None:
    assert parse(quote.comment(value) + "\nUSER 0\n") == [Instruction("USER", [], "0")]
    assert all(line.startswith("#") for line in quote.comment(value).split("\n"))


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True) | TEXT, TEXT, max_size=4))
def test_the_environment_of_a_user(env: dict[str, str]) -> None:
    try:
        options = msgspec.convert({"env": env}, ImageOptions)
    except msgspec.ValidationError:
        return
    found = lint(render(plan(options=options)))
    settings = [each for each in found if each.name == "ENV"]
    assert [(each.name, each.flags) for each in found if each not in settings[2:]] == PLAIN
    assert (pairs(settings[2]) if env else {}) == env


@given(packages=st.lists(TEXT, max_size=3), base=TEXT, user=st.integers())
def test_packages_and_names_of_images(packages: list[str], base: str, user: int) -> None:
    try:
        options = msgspec.convert({"system_packages": packages, "base": base, "user": user}, ImageOptions)
    except msgspec.ValidationError:
        return
    found = names(render(plan(msgspec.structs.replace(CPU, image=base or "x", builder=base or "x"), options)))
    extra = 1 if packages else 0
    assert len(found) == len(PLAIN) + extra


@given(reason=TEXT)
def test_a_reason_is_only_a_comment(reason: str) -> None:
    assert names(render(plan(msgspec.structs.replace(CPU, reason=reason)))) == PLAIN


@pytest.mark.parametrize("field", ["image", "builder", "python_version", "packages"])
def test_a_base_that_is_no_word_is_refused(field: str) -> None:
    base = msgspec.structs.replace(CPU, **{field: "x\nRUN y"})
    if field == "packages":
        with pytest.raises(ConfigError, match="cannot stand in a Dockerfile"):
            render(plan(base, ImageOptions(system_packages=["a"])))
    else:
        with pytest.raises(ConfigError, match="cannot stand in a Dockerfile"):
            render(plan(base))


def test_the_reader_of_these_tests_is_strict() -> None:
    for text in (
        "USER",
        "EVIL x",
        "ENV A=b c\n",
        "RUN a \\\n\nUSER 0",
        "RUN a \\",
        'ENV A="b"c',
        "USER 0\nFROM x",
    ):
        with pytest.raises(ValueError):
            lint(text)
    assert len(bundle_info().files) > 5
