"""A process that imports the user's code: what that leaves running keeps nobody waiting."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import TimeoutExpired

import msgspec
import pytest

from tiffin.bundler.child_process import Reply, ask

HEAD = """
import subprocess, sys, threading, time, msgspec
from tiffin.bundler.child_process import put_answer
class Answer(msgspec.Struct):
    word: str
question = msgspec.msgpack.decode(sys.stdin.buffer.read())
print("printed")
"""
END = "put_answer(question['answer'], Answer('done'))\n"


WAIT = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\n    os.stat('.')"
STAYS = [sys.executable, "-c", WAIT]
"""Until there is a file, or its folder is gone."""


class Question(msgspec.Struct):
    answer: str


class Answer(msgspec.Struct):
    word: str


def reply(folder: Path, text: str, timeout_s: float = 60) -> Reply[Answer]:
    command = (sys.executable, "-c", HEAD + text)
    question = Question(str(folder / "answer"))
    return ask(command, question, Answer, cwd=folder, environment=os.environ, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "text",
    ["", "threading.Thread(target=threading.Event().wait).start()\n", f"subprocess.Popen({STAYS!r})\n"],
    ids=["nothing", "thread", "process"],
)
def test_an_answer_is_not_kept_back(tmp_path: Path, text: str) -> None:
    found = reply(tmp_path, text + END)
    assert found.answer == Answer("done")
    assert (found.code, found.tail) == (0, "\n  printed")
    (tmp_path / "go").touch()


def test_no_answer(tmp_path: Path) -> None:
    found = reply(tmp_path, "sys.exit('no')")
    assert (found.answer, found.status, found.tail) == (None, "exit code 1", "\n  printed\n  no")
    assert reply(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)").status == "signal 9"


def test_too_long(tmp_path: Path) -> None:
    with pytest.raises(TimeoutExpired) as raised:
        reply(tmp_path, "print('last', flush=True)\nthreading.Event().wait()", timeout_s=1.5)
    assert raised.value.output in {b"printed\nlast\n", b""}, "a slow machine may not have begun"
