"""One run of the load generator wrk (Debian package `wrk`) against one URL."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What wrk saw. Latencies in milliseconds."""

    requests_per_s: float
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float


def wrk(
    url: str, body: str, *, connections: int, seconds: int, content_type: str = "application/json"
) -> Load:
    """POSTs `body` over keep-alive connections as fast as answers come."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n'
            f'wrk.headers["content-type"] = "{content_type}"\n'
        )
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, url]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return parse(text)


def parse(text: str) -> Load:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    total = re.search(r"(\d+) requests in", text)
    if rate is None or total is None:
        raise SystemExit(f"wrk said something unexpected:\n{text}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        requests_per_s=float(rate[1]),
        requests=int(total[1]),
        errors=(int(bad[1]) if bad else 0) + sum(map(int, socket_errors.groups() if socket_errors else ())),
        p50_ms=_latency(text, 50),
        p99_ms=_latency(text, 99),
    )


def _latency(text: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text)
    if found is None:
        raise SystemExit(f"wrk said no latency at {percent} %:\n{text}")
    return float(found[1]) * _UNIT_MS[found[2]]
