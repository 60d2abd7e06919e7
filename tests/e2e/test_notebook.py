"""`%bundle` in real kernels: what it shows, and which processes it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import twice
from notebook import CellFailedError, Notebook
from processes import runs

GONE_LIMIT_S = 120.0
TIMES = """
import tiffin
@tiffin.service
class Times:
    by = 3

    @tiffin.on_start
    def begin(self):
        print(10 / self.by)

    @tiffin.api
    async def times(self, x: float) -> float:
        return self.by * x
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    twice.write(folder)
    return folder


@pytest.fixture(scope="module")
def notebook(folder: Path) -> Iterator[Notebook]:
    """One kernel for all tests: each leaves no server behind."""
    with Notebook(folder, {"TIFFIN_HOME": str(folder.parent / "home")}) as notebook:
        notebook.run("%load_ext tiffin")
        yield notebook


def ask(url: str) -> list[float]:
    request = urllib.request.Request(
        f"{url}/twice", data=b'{"x": [1, 2.5]}', headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        return list(json.load(answer))


def family(pid: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended just now
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def wait_gone(pids: set[int]) -> None:
    end = time.monotonic() + GONE_LIMIT_S
    while left := {pid for pid in pids if runs(pid)}:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.05)


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def serve(notebook: Notebook, words: str = "service.py") -> tuple[str, set[int]]:
    """The address of a new server and all of its processes."""
    notebook.run(f"server = %bundle serve {words} --port 0")
    pid, url = notebook.run("print(server.pid, server.url)").text.split()
    processes = family(int(pid))
    assert len(processes) >= 2  # supervisor, api, workers
    return url, processes


def test_servers_from_start_to_stop(notebook: Notebook, folder: Path) -> None:
    shown = notebook.run("server = %bundle serve service.py --port 0\nserver")
    url = notebook.run("print(server.url)").text.strip()
    assert ask(url) == [2.0, 5.0]
    assert f'<a href="{url}"' in shown.html
    assert "POST /twice" in shown.html
    assert f"<server service.py at {url}>" in shown.text  # what a log of the notebook shows
    assert "ready in" in shown.text
    first = family(int(notebook.run("print(server.pid)").text))

    again = notebook.run("server = %bundle serve service.py\nprint(server.url)").text
    assert url in again, "the page in the browser's tab works on"
    wait_gone(first)
    assert ask(url) == [2.0, 5.0]
    assert url in notebook.run("%bundle servers").text
    second = family(int(notebook.run("print(server.pid)").text))

    notebook.interrupt()  # of a cell, if one ran: the server is not meant
    assert notebook.run("server").text == f"<server service.py at {url}>"
    (folder / "other.py").write_text((folder / "service.py").read_text())
    other_url, other = serve(notebook, "other.py")
    with pytest.raises(CellFailedError, match=r"name one: .*service.py \(port \d+\), other.py"):
        notebook.run("%bundle stop")
    assert f"stopped service.py at {url}" in notebook.run(f"%bundle stop {url.rpartition(':')[2]}").text
    wait_gone(second)
    assert "POST /twice 200" in notebook.run("%bundle logs service.py").text, "the log stays"
    assert len(notebook.run("%bundle logs service.py -n 1").text.splitlines()) == 1
    assert ask(other_url) == [2.0, 5.0]
    notebook.run("%unload_ext tiffin")
    wait_gone(other)
    with pytest.raises(CellFailedError, match="`%bundle` not found"):
        notebook.run("%bundle servers")
    notebook.run("%load_ext tiffin")
    assert "no server was started here" in notebook.run("%bundle servers").text


def test_a_server_that_does_not_start_fails_the_cell(notebook: Notebook) -> None:
    notebook.run(TIMES.replace("by = 3", "by = 0"))
    with pytest.raises(CellFailedError, match="ZeroDivisionError: division by zero") as failed:
        notebook.run("%bundle serve Times")
    assert failed.value.name == "ServerError"
    assert re.search(r"\(cell \d+, line 7\)", str(failed.value)), "a person knows the cell, not the file"
    assert "ZeroDivisionError" in notebook.run("%bundle logs Times").text


def test_build_list_and_show(notebook: Notebook) -> None:
    built = notebook.run("%bundle build service.py --no-lock --name pair")
    assert "Built pair:" in built.text
    assert "%bundle serve pair:" in built.text
    assert "<b>Built pair:" in built.html
    assert "done in" in built.text, "the bar has gone"
    assert "pair:" in notebook.run("%bundle list").html
    assert "POST /twice" in notebook.run("%bundle show pair").html
    assert json.loads(notebook.run("%bundle list pair --json").text)[0]["name"] == "pair"
    bundle = notebook.run("import tiffin\nfrom tiffin.bundler import bundles\nbundles.get('pair')")
    assert "%" not in bundle.text
    assert bundle.text.startswith("<Bundle pair:")
    assert "%bundle serve pair:" in bundle.html


def test_functions_in_a_cell_draw_a_bar_of_their_own(notebook: Notebook) -> None:
    notebook.run("import tiffin\nfrom service import Twice")
    built = notebook.run("made = tiffin.build(Twice, lock=False)")
    assert re.search(r"built twice:\w+ in \d+\.\d s", built.text)
    assert len(built.outputs) == 1, "one bar, that of the build"
    assert "<div" in built.html
    saved = notebook.run("model = tiffin.models.save('most', max)")
    assert re.search(r"saved most:\w+ in \d+\.\d s", saved.text)
    with pytest.raises(CellFailedError) as failed:
        notebook.run("tiffin.models.save('most', max, framework='none')")
    assert failed.value.name == "ModelError"
    quiet = notebook.run("made = tiffin.models.save('most', max, on_progress=lambda *step: None)")
    assert quiet.outputs == []


def test_a_service_of_a_cell(notebook: Notebook) -> None:
    told = notebook.run(f"%%bundle service --name triple\n{TIMES}\nTimes.__name__")
    assert "'Times'" in told.text
    assert "Times is the service of this notebook" in told.text
    assert "Built triple:" in notebook.run("%bundle build --no-lock").text
    assert "Built thrice:" in notebook.run("%bundle build Times --no-lock --name thrice").text
    with pytest.raises(CellFailedError, match="Times is of a cell"):
        notebook.run("%bundle serve --reload")


@pytest.mark.parametrize(
    ("line", "name", "says"),
    [
        ("%bundle show nothing", "NotFoundError", "no bundle 'nothing'"),
        ("%bundle build --nmae x", "UsageError", "--name"),
        ("%bundle biuld", "UsageError", "did you mean 'build'"),
        ("%bundle service", "UsageError", "%%bundle service"),
        ("%bundle stop nothing", "NotFoundError", "has started no server nothing"),
        ("%bundle build 'x", "UsageError", "No closing quotation"),
        ("%%bundle build\n1", "UsageError", "knows one word"),
        ("%%bundle service\n1", "ServiceDefinitionError", "defines no class with @tiffin.service"),
        ("%%bundle service\n1 / 0", "ZeroDivisionError", "division by zero"),
    ],
)
def test_what_fails_fails_the_cell_in_one_line(notebook: Notebook, line: str, name: str, says: str) -> None:
    with pytest.raises(CellFailedError) as failed:
        notebook.run(line)
    assert failed.value.name == name
    assert says in str(failed.value)
    assert "cli/ipython" not in str(failed.value)


def test_help_lists_the_notebooks_own_commands(notebook: Notebook) -> None:
    told = notebook.run("%bundle").text
    assert "%%bundle" in told
    for name in ("build", "models", "logs", "stop"):
        assert f"\n  {name} " in told
    assert "Commands:" in notebook.run("%bundle models").text
    assert "--grpc-port" in notebook.run("%bundle serve --help").text


def test_no_process_outlives_its_kernel(folder: Path) -> None:
    with Notebook(folder, {"TIFFIN_HOME": str(folder.parent / "home")}) as notebook:
        notebook.run("%load_ext tiffin")
        _, processes = serve(notebook)
        notebook.restart()
        wait_gone(processes)

        notebook.run("%load_ext tiffin")
        notebook.run(TIMES)
        _, processes = serve(notebook, "Times")
        (source,) = {*re.findall(r"\S*tiffin-capture-\w+", "".join(map(command_line, processes)))}
        assert Path(source).is_dir()
        os.kill(int(notebook.run("import os; print(os.getpid())").text), signal.SIGKILL)
        wait_gone(processes)
        assert not Path(source).exists()


def test_a_prompt_without_a_notebook(folder: Path) -> None:
    """Plain text, and nothing that outlives it."""
    script = folder / "plain.ipy"
    script.write_text(
        "%load_ext tiffin\nserver = %bundle serve service.py --port 0\nprint(server.pid)\n%bundle servers\n"
        "%bundle show nothing\nprint('not reached')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", str(script)],
        cwd=folder,
        env={**os.environ, "TIFFIN_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Serving service.py\n  url     http://127.0.0.1:" in ended.stdout, ended.stdout + ended.stderr
    assert "error: no bundle 'nothing'" in ended.stdout
    assert "not reached" not in ended.stdout
    (pid,) = re.findall(r"^\d+$", ended.stdout, re.MULTILINE)
    wait_gone({int(pid)})
