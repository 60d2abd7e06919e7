"""The real command, as a person starts it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tiffin import __version__
from tiffin.bundler import models
from tiffin.cli.main import COMMANDS, root

BIN = Path(sys.executable).parent


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **env}, timeout=240, check=False
    )


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ([str(BIN / "bundle")], "bundle"),
        ([str(BIN / "tiffin")], "tiffin"),
        ([sys.executable, "-m", "tiffin"], "python -m tiffin"),
    ],
)
def test_three_ways_to_start_it(command: list[str], name: str) -> None:
    version = run(*command, "--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith(f"tiffin {__version__} (Python 3.")
    shown = run(*command, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"Usage: {name} [OPTIONS] COMMAND")
    for command_name in COMMANDS:
        assert f"\n  {command_name} " in shown.stdout
    wrong = run(*command, "biuld")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: no such command 'biuld'; did you mean 'build'?\n")
    assert f"Try '{name} --help'." in wrong.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_exists_and_helps(name: str) -> None:
    with pytest.raises(SystemExit) as end:
        root.main([name, "--help"], prog_name="bundle")
    assert end.value.code == 0


def test_a_closed_pipe_is_quiet() -> None:
    """As in `bundle completion zsh | true`, with more output than fits a pipe's buffer or less."""
    for code in ("print('x' * 10)", "print('x' * 1_000_000)"):
        script = (
            "import os, sys, click\n"
            "from tiffin.cli import main, group\n"
            f"main.root.add_command(click.Command('go', callback=lambda: exec({code!r})))\n"
            "main.root.table['go'] = group.Entry('', '')\n"
            "main.root.main(['go'], prog_name='bundle')\n"
        )
        read, write = os.pipe()
        os.close(read)
        try:
            ended = subprocess.run(
                [sys.executable, "-c", script],
                stdout=write,
                stderr=subprocess.PIPE,
                text=True,
                timeout=240,
                check=False,
            )
        finally:
            os.close(write)
        assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_of_the_command_that_was_typed(shell: str) -> None:
    for name in ("bundle", "tiffin"):
        script = run(str(BIN / name), "completion", shell)
        assert (script.returncode, script.stderr) == (0, "")
        assert f"_{name.upper()}_COMPLETE={shell}_complete" in script.stdout
    module = run(sys.executable, "-m", "tiffin", "completion", shell)
    assert f"_BUNDLE_COMPLETE={shell}_complete" in module.stdout


@pytest.mark.parametrize(
    ("typed", "answers"),
    [
        ("bundle comp", ["completion"]),
        ("bundle --v", ["--version"]),
        ("bundle completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_completion_answers(typed: str, answers: list[str]) -> None:
    words = str(len(typed.split(" ")) - 1)
    env = {"_BUNDLE_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": words}
    assert run(str(BIN / "bundle"), **env).stdout.split() == [f"plain,{answer}" for answer in answers]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("bundle comp", ["completion"]),
        ("bundle models show i", ["iris:v1"]),
        # What bash replaces begins after the colon.
        ("bundle models show iris:v", ["v1"]),
        ("bundle models show iris:", ["v1"]),
        ("bundle models delete iris:v1 wi", ["wine:v2"]),
        ("bundle serve --log-format=t", ["text"]),
        ("bundle serve --workers a=2 --log-f", ["--log-format"]),
        ("bundle models show ", ["iris:v1", "wine:v2"]),
        ("bundle models list ", ["iris", "wine"]),
        ("bundle init -t x", ["xgboost"]),
        ("bundle build --platform ", ["linux/amd64", "linux/arm64"]),
    ],
)
def test_bash_completes_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, answers: list[str]
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    models.save("iris", len, version="v1")
    models.save("wine", len, version="v2")
    words = re.findall(r"[^ :=]+|[:=]", line) + [""] * line.endswith(" ")  # as bash splits it
    script = (
        'eval "$(bundle completion bash)"\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
        f"COMP_LINE={shlex.quote(line)}\nCOMP_POINT=${{#COMP_LINE}}\n"
        '_bundle_completion bundle\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = run("bash", "--norc", "-c", script, "bash", *words, PATH=path)
    assert (done.stdout.split(), done.stderr) == (answers, "")


def test_completion_of_an_unknown_shell() -> None:
    wrong = run(str(BIN / "bundle"), "completion", "tcsh")
    assert wrong.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in wrong.stderr
