"""How errors look from outside: text on stderr, exit code, no traceback."""

from __future__ import annotations

import errno
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import ModuleType
from typing import Any, NamedTuple

import click
import pytest

from tiffin.cli.group import Entry, Group, debug_option
from tiffin.cli.main import Root
from tiffin.errors import BuildError, ConfigError


def root(action: Any, monkeypatch: pytest.MonkeyPatch) -> Root:
    """A `bundle` whose only command is `go`, and `deep go` in a nested group."""

    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def go(as_json: bool) -> Any:
        return action()

    deep = Group("deep", help="A nested group.", commands={"go": go})
    for name, command in (("go", go), ("deep", deep)):
        module = ModuleType(f"tiffin.cli.commands.fake_{name}")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    table = {name: Entry(f".commands.fake_{name}", "Go.") for name in ("go", "deep")}
    return Root(name="bundle", table=table, no_args_is_help=True, params=[debug_option(hidden=False)])


class Result(NamedTuple):
    exit_code: object
    stdout: str
    stderr: str


def invoke(group: Root, *args: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        group.main(list(args), prog_name="bundle")
    return Result(end.value.code, out.getvalue(), err.getvalue())


def raising(error: BaseException) -> Any:
    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (BuildError("no space"), 1, "error: no space\n"),
        (ConfigError("unknown key"), 2, "error: unknown key\n"),
        (FileNotFoundError(2, "No such file", "x.tar"), 1, "error: No such file: x.tar\n"),
        (ZeroDivisionError("division by zero"), 1, "error: ZeroDivisionError: division by zero\n"),
        (click.ClickException("odd"), 1, "error: odd\n"),
        (click.Abort(), 1, "error: aborted\n"),
    ],
)
def test_an_error_is_a_message_and_a_code(
    error: Exception, code: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = invoke(root(raising(error), monkeypatch), "go")
    assert result.exit_code == code
    assert result.stderr.startswith(text)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("args", [["--debug", "go"], ["go", "--debug"], ["deep", "go", "--debug"]])
def test_debug_shows_the_traceback_anywhere(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(root(raising(BuildError("no space")), monkeypatch), *args)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("error: no space\n")


def test_debug_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    group = root(raising(KeyError("x")), monkeypatch)
    for setting, shown in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("TIFFIN_DEBUG", setting)
        assert ("Traceback" in invoke(group, "go").stderr) is shown


def test_debug_of_one_call_does_not_stay_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    group = root(raising(KeyError("x")), monkeypatch)
    assert "Traceback" in invoke(group, "go", "--debug").stderr
    assert "Traceback" not in invoke(group, "go").stderr


def test_an_unexpected_error_says_that_it_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(root(raising(KeyError("x")), monkeypatch), "go")
    assert result.exit_code == 1
    assert "This is a bug in tiffin, or in the code that it ran." in result.stderr
    assert "--debug" in result.stderr


def test_an_error_of_the_system_comes_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/srv/store")
    result = invoke(root(raising(refused), monkeypatch), "go")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: Permission denied: /srv/store; check whose it is and its permi")
    unforeseen = invoke(root(raising(OSError(errno.EIO, "Input/output error", "/x")), monkeypatch), "go")
    assert unforeseen.stderr.startswith("error: Input/output error: /x\n")


@pytest.mark.parametrize("args", [["go"], ["deep", "go"]])
def test_interrupt_is_130(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(root(raising(KeyboardInterrupt()), monkeypatch), *args)
    assert result.exit_code == 130
    assert "error" not in result.stderr


@pytest.mark.parametrize("code", [0, 1, 7])
def test_a_command_may_return_or_exit_with_its_code(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke(root(lambda: code, monkeypatch), "go").exit_code == code
    assert invoke(root(lambda: click.get_current_context().exit(code), monkeypatch), "go").exit_code == code
    assert invoke(root(lambda: "some value", monkeypatch), "go").exit_code == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["og"], "error: no such command 'og'; did you mean 'go'?\n"),
        (["deep", "goo"], "error: no such command 'goo'; did you mean 'go'?\n"),
        (["zzzzz"], "error: no such command 'zzzzz'; see --help\n"),
        (["go", "--jsn"], "error: no such option '--jsn'; did you mean '--json'?\n"),
        (["--hlp"], "error: no such option '--hlp'; did you mean '--help'?\n"),
        (["go", "more"], "error: Got unexpected extra argument"),
    ],
)
def test_wrong_use_is_2_and_suggests(args: list[str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(root(lambda: None, monkeypatch), *args)
    assert result.exit_code == 2
    assert result.stderr.startswith(text)
    assert result.stderr.endswith("--help'.\n")


def test_a_group_without_a_command_shows_its_help(monkeypatch: pytest.MonkeyPatch) -> None:
    group = root(lambda: None, monkeypatch)
    assert "Commands:" in "".join(map(str, invoke(group)))
    assert "A nested group." in "".join(map(str, invoke(group, "deep")))


def test_embedding_keeps_clicks_own_behaviour(monkeypatch: pytest.MonkeyPatch) -> None:
    group = root(raising(BuildError("no space")), monkeypatch)
    with pytest.raises(BuildError):
        group.main(["go"], prog_name="bundle", standalone_mode=False)
