"""Runs one example from training to answers through the real commands: `python examples/run.py iris_sklearn`.

Each command is printed before it runs, so that the same can be typed by hand. The store is `$TIFFIN_HOME`.
"""

from __future__ import annotations

import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

START_LIMIT_S = 120.0
STOP_LIMIT_S = 40.0


def main(name: str) -> int:
    folder = Path(__file__).parent / name
    if not (folder / "bundlefile.yaml").exists():
        known = sorted(path.parent.name for path in Path(__file__).parent.glob("*/bundlefile.yaml"))
        print(f"no example {name!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    run([sys.executable, "train.py"], folder)
    bundle = [sys.executable, "-m", "tiffin"]
    run([*bundle, "build"], folder)
    tag = re.search(r"^name: (\S+)$", (folder / "bundlefile.yaml").read_text(), re.MULTILINE)
    assert tag is not None, "the example's bundlefile names its bundle"
    command = [*bundle, "serve", f"{tag[1]}:latest", "--port", os.environ.get("TIFFIN_EXAMPLE_PORT", "0")]
    show(command)
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        try:
            base = wait_until_ready(server)
            run([sys.executable, "call.py", base], folder)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                code = server.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
    print(f"server stopped, exit code {code}")
    return code


def run(command: list[str], folder: Path) -> None:
    show(command)
    subprocess.run(command, cwd=folder, check=True)


def show(command: list[str]) -> None:
    text = (
        shlex.join(command).replace(f"{sys.executable} -m tiffin", "bundle").replace(sys.executable, "python")
    )
    print(f"\n$ {text}", flush=True)


def wait_until_ready(server: subprocess.Popen[str]) -> str:
    """The address that the server prints; then polls /readyz until it says yes."""
    assert server.stderr is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in server.stderr or ()], daemon=True).start()
    give_up = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if server.poll() is not None:
                break
            continue
        print(f"  {line}", end="", flush=True)
        ready = re.search(r"ready .*?(http://[\w.\[\]:]+)", line)
        if ready:
            return ready[1]
    raise SystemExit(f"the server did not become ready within {START_LIMIT_S:.0f} s")


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]) if len(sys.argv) == 2 else main(""))
