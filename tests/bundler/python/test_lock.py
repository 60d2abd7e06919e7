"""Locks: made once, kept, and for the platform and Python that is asked for."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tiffin.bundler.python import lock as lock_module
from tiffin.bundler.python import uv as uv_module
from tiffin.bundler.python.environment import environment, this_platform
from tiffin.bundler.python.lock import Lock, make_lock
from tiffin.bundler.python.needs import Index, Needs, Wanted
from tiffin.bundler.python.requirements import Collected
from tiffin.errors import BuildError, ConfigError

HERE = environment("3.11")


def asked(text: str) -> Collected:
    return Collected(
        text, [Wanted(line, f"line {number}") for number, line in enumerate(text.splitlines(), 1)]
    )


UV = """#!{python}
import sys
open({log!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
output = sys.argv[sys.argv.index("--output-file") + 1]
text = open("requirements.in").read()
if "far" in text and not ("near" in text and "--offline" in sys.argv):
    sys.exit("error: Failed to fetch: http://far\\n  cause: error sending request for url (http://far)\\n")
if "impossible" in text:
    sys.exit("error: No solution found\\n  cause: Because there is no version\\n  of impossible\\n  more\\n")
preferred = dict(line.split("==") for line in open(output).read().split())
open(output, "w").write("click==" + preferred["click"] + " --hash=sha256:00\\n")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for `uv`; returns the file that holds its command lines."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    log, program = tmp_path / "calls", tmp_path / "uv"
    program.write_text(UV.format(python=sys.executable, log=str(log)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    log.touch()
    monkeypatch.setattr(lock_module, "find_uv", lambda: str(program))
    return log


def test_a_lock_prefers_what_is_installed(calls: Path) -> None:
    from importlib.metadata import version

    made = make_lock(asked("click\n"), HERE)
    assert made == Lock(f"click=={version('click')} --hash=sha256:00\n")
    command = calls.read_text()
    assert "--generate-hashes" in command
    assert "--python-version 3.11" in command
    assert f"--python-platform {os.uname().machine}-manylinux_2_28" in command


@pytest.mark.usefixtures("calls")
def test_a_lock_says_where_its_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs it has nothing else; what only this environment says may hold a password."""
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://me:secret@example.org/simple")
    index = "--extra-index-url https://download.pytorch.org/whl/cpu"
    needs = Needs(options=[index], indexes=[Index("corp", "https://corp.example/simple")])
    made = make_lock(asked(f"# for the project\n{index}\nclick\n"), HERE, needs=needs)
    assert made.text.startswith(f"{index}\n--extra-index-url https://corp.example/simple\nclick==")
    assert "secret" not in made.text
    assert "example.org" not in made.text


def test_a_lock_is_made_once(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_lock(asked("click\n"), HERE)
    assert make_lock(asked("click\n"), HERE, required=True) == first
    assert len(calls.read_text().splitlines()) == 1
    make_lock(asked("click\n"), environment("3.12"))
    make_lock(asked("click>1\n"), HERE)
    monkeypatch.setenv("UV_INDEX_URL", "https://example.org/simple")
    make_lock(asked("click\n"), HERE)
    assert len(calls.read_text().splitlines()) == 4


def test_a_lock_for_another_platform(calls: Path) -> None:
    make_lock(asked("click\n"), environment("3.11", "linux/arm64"))
    make_lock(asked("click\n"), environment("3.11", "linux/amd64"))
    first, second = calls.read_text().splitlines()
    assert "--python-platform aarch64-manylinux_2_28" in first
    assert "--python-platform x86_64-manylinux_2_28" in second
    assert this_platform() == f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine] }"
    for wrong in ("linux/riscv64", "windows/amd64", "arm64"):
        with pytest.raises(ConfigError, match="use linux/amd64 or linux/arm64"):
            environment("3.11", wrong)
    with pytest.raises(BuildError, match=r"^impossible from line 1 cannot be had, .* for linux/arm64"):
        make_lock(asked("impossible\n"), HERE, platform="linux/arm64", required=True)


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("required", [False, True])
def test_what_an_index_answers_is_final(required: bool) -> None:
    words = (
        r"(?s)^impossible from line 1 cannot be had, so nothing can be installed\nMend .*--no-lock"
        r", or python: \{lock: false\} in bundlefile\.yaml\.\nuv says:\n  error: No solution found"
    )
    with pytest.raises(BuildError, match=words):
        make_lock(asked("impossible\n"), HERE, required=required)


def test_nobody_answers(calls: Path) -> None:
    """What uv has in its cache is as good as an answer; without it there is no lock, and it is said why."""
    why = "uv: error: Failed to fetch: http://far; cause: error sending request for url (http://far)"
    assert make_lock(asked("far\n"), HERE) == Lock("", why)
    with pytest.raises(
        BuildError, match=r"^the requirements could not be locked: uv: error: Failed to fetch"
    ):
        make_lock(asked("far\n"), HERE, required=True)
    assert make_lock(asked("far\nnear\n"), HERE).text.startswith("click==")
    assert len(calls.read_text().splitlines()) == 6


@pytest.mark.parametrize("program", ["uv", None])
def test_what_no_index_could_mend_needs_none(
    calls: Path, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    monkeypatch.setattr(lock_module, "find_uv", lambda: str(calls.parent / program) if program else None)
    with pytest.raises(BuildError, match=r"^far<2 from line 1 and far>=2 from line 2 exclude each other"):
        make_lock(asked("far<2\nfar>=2\n"), HERE)


def test_no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "find_uv", lambda: None)
    made = make_lock(asked("click\n"), HERE)
    assert (made.text, "pip install 'tiffin[lock]'" in made.reason) == ("", True)
    with pytest.raises(BuildError, match=r"tiffin\[lock\]"):
        make_lock(asked("click\n"), HERE, required=True)


def test_uv_that_hangs(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (calls.parent / "uv").write_text(f"#!{sys.executable}\nimport signal; signal.pause()\n")
    monkeypatch.setattr(uv_module, "TIMEOUT_S", 0.3)
    assert make_lock(asked("click\n"), HERE) == Lock("", "uv took more than 0 s")
