"""A command that gets SIGTERM, or whose terminal is closed, ends the build of an engine in order."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from orderly_program import ORDERLY

from tiffin.cli.ending import orderly_end

COMMAND = """
import signal, sys
from tiffin.bundler.engines.command import follow
from tiffin.cli.ending import orderly_end
for name, asked in (("SIGTERM", "default"), ("SIGHUP", sys.argv[3])):  # whatever the tests were started with
    signal.signal(getattr(signal, name), signal.SIG_IGN if asked == "ignored" else signal.SIG_DFL)
with orderly_end():
    follow([sys.executable, "-c", sys.argv[1], sys.argv[2]], lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize(
    ("numbers", "hangup", "code"),
    [
        ([signal.SIGTERM], "default", 143),
        ([signal.SIGHUP], "default", 129),
        ([signal.SIGHUP, signal.SIGTERM], "ignored", 143),
    ],
)
def test_an_engine_ends_in_order(
    tmp_path: Path, numbers: list[signal.Signals], hangup: str, code: int
) -> None:
    arguments = [sys.executable, "-c", COMMAND, ORDERLY, str(tmp_path / "ended"), hangup]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "began\n"
        for number in numbers:
            command.send_signal(number)
        assert command.wait() == code
    assert (tmp_path / "ended").exists()


def test_what_was_there_before_comes_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with orderly_end():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_in_another_thread_it_changes_nothing() -> None:
    """Where Python refuses to."""

    def run() -> bool:
        with orderly_end():
            return True

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run).result()
