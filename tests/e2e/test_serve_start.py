"""`bundle serve`: what is told, what is refused, and what it costs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import twice
from server import ServeFailedError, Server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    twice.write(tmp_path)
    return tmp_path


def test_it_answers_and_tells_what_runs(folder: Path) -> None:
    with Server(folder, "--workers", "doubler=2") as server:
        ready = server.events[-1]
        assert ready["runners"]["doubler"]["workers"] == 2
        assert 1e6 < ready["own_bytes"]["doubler"] < 200e6
        assert ready["routes"][0] == "/twice"
        for route in ("twice", "twice_in_thread"):
            answer = httpx.post(f"{server.base_url}/{route}", json={"x": [1, 2.5]})
            assert (answer.status_code, answer.json()) == (200, [2, 5])
        assert httpx.get(f"{server.base_url}/readyz").status_code == 200
        pids = {httpx.post(f"{server.base_url}/worker_pid").json() for _ in range(20)}
        assert pids <= set(server.pids("worker"))
        assert len(server.pids("worker")) == 2
        assert len(server.pids("server")) == 1
    assert server.process.returncode == 0


def test_memory(folder: Path) -> None:
    """The bars of the architecture: 60 MB for the supervisor, 90 MB for an API process."""
    with Server(folder) as server:
        for _ in range(50):
            httpx.post(f"{server.base_url}/twice", json={"x": [1, 2]})
        (api,) = server.pids("server")
        assert server.memory_bytes() < 60e6
        assert server.memory_bytes(api) < 90e6
        page = httpx.get(f"{server.base_url}/metrics").text
        for process in ("supervisor", "api-0", "doubler-0"):
            assert f'tiffin_process_memory_bytes{{process="{process}"}}' in page


def test_a_worker_gets_its_share_of_the_cores_and_no_device(folder: Path) -> None:
    with Server(folder, environ={"OMP_NUM_THREADS": "77"}) as server:
        environ = httpx.post(f"{server.base_url}/environ").json()
        assert int(environ["OMP_NUM_THREADS"]) == server.events[-1]["runners"]["doubler"]["threads"]
        assert environ["CUDA_VISIBLE_DEVICES"] == ""
        assert "TIFFIN_CONTROL_FD" not in environ


def test_several_api_processes(folder: Path) -> None:
    with Server(folder, "--processes", "3") as server:
        assert len(server.pids("server")) == 3
        for _ in range(10):
            assert httpx.post(f"{server.base_url}/twice", json={"x": [4]}).json() == [8]


def serve(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tiffin", "serve", "--port", "0", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


HEAD = "import tiffin\n@tiffin.service\nclass S:\n    "
NO_DATABASE = HEAD + "def __init__(self): self.url = {}['URL']\n    "
BAD_RUNNER = """import tiffin
class Bad:
    def __init__(self): open('/nowhere')
    def run(self) -> int: return 1
@tiffin.service
class S:
    bad = tiffin.runner(Bad)
    """
ECHO = "@tiffin.api\n    async def echo(self, x: int) -> int: return x\n"


@pytest.mark.parametrize(
    ("source", "code", "texts"),
    [
        (
            HEAD + "@tiffin.api\n    async def echo(self, x) -> int: return x\n",
            2,
            ["service.py:4", "no type hint"],
        ),
        ("import nowhere\n" + HEAD + ECHO, 2, ["service.py:1", "nowhere"]),
        (
            NO_DATABASE + ECHO,
            1,
            ["service.py", "line 4", "KeyError: 'URL'"],
        ),
        (HEAD + "@tiffin.on_start\n    def go(self): 1 / 0\n    " + ECHO, 1, ["line 5", "ZeroDivisionError"]),
        (
            BAD_RUNNER + ECHO,
            1,
            ["'bad'", "line 3", "/nowhere"],
        ),
        (BAD_RUNNER.replace("open('/nowhere')", "exit(7)") + ECHO, 1, ["'bad'", "line 3", "SystemExit: 7"]),
        (
            HEAD + "def __init__(self): raise SystemExit('no licence')\n    " + ECHO,
            1,
            ["line 4", "no licence"],
        ),
    ],
)
def test_what_cannot_start_says_why_once_and_ends(
    tmp_path: Path, source: str, code: int, texts: list[str]
) -> None:
    twice.write(tmp_path, source)
    done = serve(cwd=tmp_path)
    assert done.returncode == code, done.stderr
    for text in texts:
        assert text in done.stderr
    assert done.stderr.count("error:") == 1
    assert "runpy" not in done.stderr
    assert "worker/__main__" not in done.stderr
    assert "site-packages" not in done.stderr


def test_a_crash_in_native_code_names_the_python_line(tmp_path: Path) -> None:
    twice.write(tmp_path, BAD_RUNNER.replace("open('/nowhere')", "__import__('ctypes').string_at(0)") + ECHO)
    done = serve(cwd=tmp_path)
    assert done.returncode == 1
    assert "error: bad-0 ended by SIGSEGV before it was ready" in done.stderr
    assert 'service.py", line 3 in __init__' in done.stderr


def test_a_taken_port(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve("--port", str(port), cwd=folder)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workers", "doubler"], "forest=4"),
        (["--workers", "nobody=2"], "it has: doubler"),
        (["--workers", "doubler=0"], "use 1 to 1024"),
        (["--workers", "doubler=1", "--workers", "doubler=2"], "twice"),
        (["--processes", "none"], "from 1 on"),
        (["--timeout-s", "0"], "timeout-s"),
        (["--log-format", "xml"], "log-format"),
        (["nothing"], "nothing to serve"),
    ],
)
def test_wrong_use(folder: Path, arguments: list[str], text: str) -> None:
    done = serve(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert text in done.stderr


def test_the_log_in_json_is_json_to_the_last_line(folder: Path) -> None:
    with Server(folder, "--log-format", "json") as server:
        httpx.post(f"{server.base_url}/twice", json={"x": [1]}, headers={"x-request-id": "r-1"})
        server.stop()
        lines = [json.loads(line) for line in server.log().splitlines()]
    said = {(line["logger"], line["msg"]) for line in lines if "msg" in line}
    assert ("twice", "started") in said
    assert ("twice", "stopped") in said
    assert any(line.get("request_id") == "r-1" for line in lines)


def test_no_access_log(folder: Path) -> None:
    with Server(folder, "--no-access-log") as server:
        httpx.post(f"{server.base_url}/twice", json={"x": [1]})
        server.stop()
        assert "POST" not in server.log()


def test_the_timeout_of_the_command_line_wins(folder: Path) -> None:
    with Server(folder, "--timeout-s", "0.2") as server:
        assert httpx.post(f"{server.base_url}/slowly", json={"x": [1], "wait_s": 1.0}).status_code == 504


def test_a_module_and_class_from_where_one_stands(folder: Path) -> None:
    with Server("service:Twice", cwd=folder) as server:
        assert httpx.post(f"{server.base_url}/twice", json={"x": [1]}).json() == [2]


def test_the_panel_and_quiet(folder: Path) -> None:
    for options in ([], ["--quiet"]):
        with subprocess.Popen(
            [sys.executable, "-m", "tiffin", "serve", "--port", "0", *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                panel = [] if options else [process.stdout.readline() for _ in range(7)]
            finally:
                process.terminate()
            rest = process.stdout.read()
        if options:
            assert rest == ""
        else:
            assert "ready in" in panel[0]
            assert "http://127.0.0.1:" in panel[1]
            assert "grpc://127.0.0.1:" in panel[2]
            assert "doubler 1 worker" in panel[6]
            assert re.search(r"threads?, [\d.]+ MB of memory for one more", panel[6])


def test_a_bundle_from_anywhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Everything starts in parallel then: the description comes from bundle.yaml."""
    environ = {"TIFFIN_HOME": str(tmp_path_factory.mktemp("home"))}
    (folder / "bundlefile.yaml").write_text("service: service:Twice\n")
    subprocess.run(
        [sys.executable, "-m", "tiffin", "build", "--no-lock", str(folder)],
        env={**os.environ, **environ},
        check=True,
        timeout=240,
    )
    with Server("twice:latest", environ=environ, cwd=tmp_path_factory.mktemp("elsewhere")) as server:
        assert server.events[-1]["title"].startswith("twice:")
        assert httpx.post(f"{server.base_url}/twice", json={"x": [1]}).json() == [2]
    with (
        pytest.raises(ServeFailedError, match="--reload") as failed,
        Server("twice", "--reload", environ=environ),
    ):
        pass
    assert failed.value.code == 2
