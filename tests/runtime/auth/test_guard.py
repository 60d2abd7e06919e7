"""Who is let in, and for how long."""

from __future__ import annotations

import logging
import os
from math import inf
from pathlib import Path
from typing import Any

import pytest

from tiffin.errors import ConfigError, ForbiddenError, UnauthorizedError
from tiffin.runtime.auth import guard as guard_module
from tiffin.runtime.auth.guard import Guard
from tiffin.runtime.auth.source import check_tokens
from tiffin.runtime.supervisor.control import ServerOptions

TOKENS = """
shop  shop-secret-000000  predict
graf  graf-secret-000000  metrics
brief brief-secret-00000  predict 2000-01-31T00:00Z
"""
END = 949276800.0  # 2000-01-31 in UTC


class Counts:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def unauthorized(self, reason: str) -> None:
        self.reasons.append(reason)


class Clock:
    now = 900_000_000.0

    def __call__(self) -> float:
        return self.now


def make(text: str = TOKENS, file: str = "") -> tuple[Guard, Counts, Clock]:
    counts: Any = Counts()
    clock = Clock()
    return Guard(file, text, counts, clock), counts, clock


def test_the_right_token_is_let_in_again_and_again() -> None:
    guard, counts, _ = make()
    for header in (
        b"Bearer shop-secret-000000",
        b"bearer  shop-secret-000000 ",
        b"BEARER shop-secret-000000",
    ):
        for _ in range(2):
            assert guard.check(header, "predict") == inf
    assert guard.check(b"Bearer brief-secret-00000", "predict") == END
    assert counts.reasons == []


@pytest.mark.parametrize(
    ("header", "reason", "challenge"),
    [
        (None, "missing", 'Bearer realm="tiffin", scope="predict"'),
        (b"", "missing", 'scope="predict"'),
        (b"Basic c2hvcDpzaG9w", "missing", 'scope="predict"'),
        (b"shop-secret-000000", "missing", 'scope="predict"'),
        (b"Bearer ", "malformed", 'error="invalid_token"'),
        (b"Bearer a b", "malformed", 'error="invalid_token"'),
        (b"Bearer shop-secret-000000, Bearer shop-secret-000000", "malformed", 'error="invalid_token"'),
        (b"Bearer \xff\xfe", "malformed", 'error="invalid_token"'),
        (b"Bearer shop-secret-00000", "unknown", 'error="invalid_token"'),
        (b"Bearer shop-secret-0000000", "unknown", 'error="invalid_token"'),
        (b"Bearer " + b"x" * 60_000, "unknown", 'error="invalid_token"'),
    ],
)
def test_others_are_not(header: bytes | None, reason: str, challenge: str) -> None:
    guard, counts, _ = make()
    for _ in range(2):
        with pytest.raises(UnauthorizedError) as refusal:
            guard.check(header, "predict")
        assert challenge in refusal.value.challenge
        assert "secret" not in str(refusal.value)
    assert counts.reasons == [reason] * 2


def test_a_token_without_the_scope_is_forbidden() -> None:
    guard, counts, _ = make()
    with pytest.raises(ForbiddenError, match="scope manage") as refusal:
        guard.check(b"Bearer shop-secret-000000", "manage")
    assert refusal.value.challenge == 'Bearer realm="tiffin", error="insufficient_scope", scope="manage"'
    assert guard.check(b"Bearer graf-secret-000000", "metrics") == inf
    with pytest.raises(ForbiddenError):
        guard.check(b"Bearer graf-secret-000000", "predict")
    assert counts.reasons == ["scope", "scope"]


def test_a_token_ends_at_its_moment_also_when_it_was_let_in_before() -> None:
    guard, counts, clock = make()
    told: list[int] = []
    guard.on_change.append(lambda: told.append(1))
    guard.check(b"Bearer brief-secret-00000", "predict")
    clock.now = END - 0.01
    guard.check(b"Bearer brief-secret-00000", "predict")
    guard.look()
    assert not told
    clock.now = END
    with pytest.raises(UnauthorizedError, match="expired"):
        guard.check(b"Bearer brief-secret-00000", "predict")
    guard.look()
    guard.look()
    assert told == [1]
    assert counts.reasons == ["expired"]


def test_the_next_look_is_not_late_for_an_end() -> None:
    guard, _, clock = make()
    assert guard._pause_s() == guard_module.LOOK_EVERY_S
    clock.now = END - 0.25
    assert guard._pause_s() == pytest.approx(0.25)


def test_tokens_are_rotated_while_it_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tiffin.auth")
    file = tmp_path / "tokens"
    file.write_text("shop old-secret-0000000 predict\n")
    guard, _, _ = make("", str(file))
    told: list[int] = []
    guard.on_change.append(lambda: told.append(1))
    guard.check(b"Bearer old-secret-0000000", "predict")
    file.write_text("shop new-secret-00000000 predict\n")
    guard.look()  # it may be half written
    guard.check(b"Bearer old-secret-0000000", "predict")
    guard.look()
    guard.check(b"Bearer new-secret-00000000", "predict")
    with pytest.raises(UnauthorizedError):
        guard.check(b"Bearer old-secret-0000000", "predict")
    assert told == [1]
    assert "secret" not in caplog.text
    guard.look()
    assert told == [1]


def test_a_broken_file_changes_nothing_and_an_empty_one_ends_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens"
    file.write_text("shop old-secret-0000000 predict\n")
    guard, _, _ = make("", str(file))
    for breakage in ("shop short predict\n", None):
        if breakage is None:
            file.unlink()
        else:
            file.write_text(breakage)
        guard.look()
        guard.look()
        guard.check(b"Bearer old-secret-0000000", "predict")
        assert "still hold" in caplog.text
        caplog.clear()
    file.write_text("# nobody\n")
    guard.look()
    guard.look()
    with pytest.raises(UnauthorizedError):
        guard.check(b"Bearer old-secret-0000000", "predict")
    assert "nobody may call" in caplog.text


def test_a_mounted_secret_is_swapped_by_its_link(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens").write_text(f"shop {name}-secret-00000000 predict\n")
    (tmp_path / "now").symlink_to("one")
    guard, _, _ = make("", str(tmp_path / "now" / "tokens"))
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "now")
    guard.look()
    guard.look()
    guard.check(b"Bearer two-secret-00000000", "predict")


def test_without_tokens_there_is_no_guard() -> None:
    metrics: Any = Counts()
    assert Guard.of(ServerOptions(), metrics) is None
    assert Guard.of(ServerOptions(auth_tokens="a some-secret-token0 all"), metrics) is not None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "KNOWN", 3)
    guard, _, _ = make()
    for spaces in range(1, 10):
        guard.check(b"Bearer" + b" " * spaces + b"shop-secret-000000", "predict")
    for _ in range(10):
        with pytest.raises(UnauthorizedError):
            guard.check(b"Bearer " + os.urandom(8).hex().encode(), "predict")
    assert len(guard._known) <= 3


def test_a_server_does_not_start_with_a_file_that_nobody_could_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "tokens"
    with pytest.raises(ConfigError, match="cannot be read"):
        check_tokens(str(file), "", "$X")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        check_tokens(str(file), "", "$X")
    file.write_text("# nobody")
    with pytest.raises(ConfigError, match="holds no token"):
        check_tokens(str(file), "", "$X")
    with pytest.raises(ConfigError, match=r"\$X, line 1"):
        check_tokens("", "shop", "$X")
    file.write_text("\ufeff" + TOKENS, encoding="utf-8")
    file.chmod(0o644)
    check_tokens(str(file), "", "$X")
    assert "chmod 600" in caplog.text
    assert "a token of brief" in caplog.text
    assert "secret" not in caplog.text
    caplog.clear()
    file.chmod(0o600)
    file.write_text("shop shop-secret-000000 predict")
    check_tokens(str(file), "", "$X")
    assert not caplog.text
