"""Tokens as text."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import ConfigError
from tiffin.runtime.auth.tokens import SCOPES, digest_of, digests_only, parse_tokens

SECRET = "k3xq-0123456789abcdef"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()


def test_a_file_of_tokens() -> None:
    tokens = parse_tokens(
        f"""
        # who   token
        shop    sha256:{DIGEST}  predict   2027-01-31   # until the end of January
        grafana another-secret-token metrics 2027-01-31T12:30Z
        ops     third/secret+token== predict,manage
        root    fourth~secret._token all
        """,
        "tokens",
    )
    shop, grafana, ops, root = tokens.values()
    assert tokens[digest_of(SECRET.encode())] is shop
    assert (shop.name, shop.scopes) == ("shop", {"predict"})
    assert shop.until == datetime(2027, 2, 1, tzinfo=timezone.utc).timestamp()
    assert grafana.until == datetime(2027, 1, 31, 12, 30, tzinfo=timezone.utc).timestamp()
    assert (ops.scopes, ops.until) == ({"predict", "manage"}, inf)
    assert root.scopes == set(SCOPES)


def test_in_a_variable_semicolons_are_line_ends_but_not_in_comments() -> None:
    text = f"shop {SECRET} predict; ops another-secret-token all\n# no; nonsense"
    assert [grant.name for grant in parse_tokens(text, "$X").values()] == ["shop", "ops"]


def test_nothing_but_comments_is_no_token() -> None:
    assert parse_tokens("# nobody\n\n", "tokens") == {}


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (SECRET, "has 1 words"),
        (f"{SECRET} predict", "has 2 words"),
        (f"shop {SECRET} predict 2027-01-31 x", "has 5 words"),
        (f"sh/op {SECRET} predict", "the name"),
        (f"shop {SECRET}é predict", "characters"),
        ("shop short predict", "16 or more"),
        (f"shop sha256:{DIGEST[:-1]} predict", "64 hexadecimal"),
        (f"shop predict {SECRET}", "16 or more"),
        (f"shop {SECRET} predict,all", "scopes"),
        (f"shop {SECRET} predict,", "scopes"),
        (f"shop {SECRET} predict 31.1.2027", "2027-01-31"),
        (f"shop {SECRET} predict 2027-02-30", "2027-01-31"),
        (f"shop {SECRET} predict 2027-01-31T25:00Z", "2027-01-31"),
        (f"a {SECRET} all\nb sha256:{DIGEST} predict", "is in line 1"),
    ],
)
def test_a_line_that_makes_no_sense_is_named_without_what_it_says(line: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as refusal:
        parse_tokens(f"# first\n{line}".replace("# first\na", "a"), "tokens")
    assert "tokens, line 2" in str(refusal.value)
    assert SECRET not in str(refusal.value)
    assert DIGEST[:-1] not in str(refusal.value)


@given(st.text(max_size=200))
def test_random_text_gives_tokens_or_an_error_with_a_line(text: str) -> None:
    try:
        parse_tokens(text, "tokens")
    except ConfigError as error:
        assert "tokens, line " in str(error)


def test_the_same_tokens_without_giving_them_away() -> None:
    text = f"shop {SECRET} predict 2027-01-31\nops another-secret-token all # x"
    hidden = digests_only(text, "$X")
    assert SECRET not in hidden
    assert "another" not in hidden
    assert parse_tokens(hidden, "$X") == parse_tokens(text, "$X")
