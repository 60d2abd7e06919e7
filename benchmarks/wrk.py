"""One run of the load generator wrk (Debian package `wrk`) against one URL."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
TIMEOUT_S = 20
"""An answer later than this is an error; wrk's own 2 s would make one of a slow peer's every answer."""


@dataclass(frozen=True)
class Load:
    """What wrk saw. `requests` counts answers of 2xx and 3xx; latencies, in ms, are of all answers."""

    requests_per_s: float
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float


def wrk(
    url: str,
    body: bytes,
    *,
    connections: int,
    seconds: int,
    content_type: str = "application/json",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Load:
    """POSTs `body` over keep-alive connections as fast as answers come."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        content, script = Path(folder) / "body", Path(folder) / "post.lua"
        content.write_bytes(body)  # from a file: it may hold any byte
        lines = [
            'wrk.method = "POST"',
            f'wrk.body = io.open("{content}", "rb"):read("*a")',
            *(
                f'wrk.headers["{name}"] = "{value}"'
                for name, value in {"content-type": content_type, **headers}.items()
            ),
        ]
        script.write_text("\n".join(lines))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={TIMEOUT_S}s", "--latency"]
        text = subprocess.run(
            [*command, "-s", str(script), url], check=True, capture_output=True, text=True
        ).stdout
    return parse(text)


def parse(text: str) -> Load:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    total = re.search(r"(\d+) requests in", text)
    if rate is None or total is None:
        raise SystemExit(f"wrk said something unexpected:\n{text}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = int(bad[1]) if bad else 0
    answered = int(total[1])
    return Load(
        requests_per_s=float(rate[1]) * (answered - refused) / max(answered, 1),
        requests=answered - refused,
        errors=refused + sum(map(int, socket_errors.groups() if socket_errors else ())),
        p50_ms=_latency(text, 50),
        p99_ms=_latency(text, 99),
    )


def _latency(text: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text)
    if found is None:
        raise SystemExit(f"wrk said no latency at {percent} %:\n{text}")
    return float(found[1]) * _UNIT_MS[found[2]]
