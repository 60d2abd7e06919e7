"""`bundle token`"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tiffin.cli.main import root
from tiffin.errors import ConfigError
from tiffin.runtime.auth.tokens import SCOPES, digest_of, parse_tokens


def run(*words: str) -> list[str]:
    result = CliRunner().invoke(root, ["token", *words], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout.splitlines()


def test_the_token_fits_its_line() -> None:
    token, line = run("shop", "--until", "2099-01-31")
    ((digest, grant),) = parse_tokens(line, "x").items()
    assert digest == digest_of(token.encode())
    assert (grant.name, grant.scopes) == ("shop", {"predict"})
    assert token not in line
    assert run("shop")[0] != token


def test_scopes_are_those_asked_for() -> None:
    for words, scopes in (
        (("--scope", "metrics", "--scope", "manage"), {"metrics", "manage"}),
        (("--scope", "all"), set(SCOPES)),
        (("--scope", "metrics", "--scope", "metrics"), {"metrics"}),
    ):
        (grant,) = parse_tokens(run("ops", *words)[1], "x").values()
        assert grant.scopes == scopes


def test_it_is_added_to_a_file_for_this_user_only(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    (first,) = run("a", "--file", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(file.read_text().rstrip("\n"))
    told = json.loads("\n".join(run("b", "--file", str(file), "--json")))
    tokens = parse_tokens(file.read_text(), "x")
    assert [digest_of(token.encode()) for token in (first, told["token"])] == [*tokens]
    assert first not in file.read_text()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    for words in (("a b",), ("a", "--until", "soon"), ("",)):
        with pytest.raises(ConfigError):
            run(*words, "--file", str(file))
    assert not file.exists()
    file.write_text("something else")
    with pytest.raises(ConfigError):
        run("a", "--file", str(file))
    assert file.read_text() == "something else"
