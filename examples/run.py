"""Runs one example from training to answers through the real commands: `python examples/run.py iris_sklearn`.

Each command is printed before it runs, so that the same can be typed by hand. The store is `$TIFFIN_HOME`.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

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
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
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
    """Shows what the server says until it names its address: it does so when every worker is warm."""
    assert server.stdout is not None
    for line in server.stdout:
        print(f"  {line}", end="", flush=True)
        address = re.search(r"url\s+(http://\S+)", line)
        if address:
            threading.Thread(target=server.stdout.read, daemon=True).start()  # so that its pipe never fills
            return address[1]
    raise SystemExit(f"the server ended with exit code {server.wait()} before it was ready")


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]) if len(sys.argv) == 2 else main(""))
