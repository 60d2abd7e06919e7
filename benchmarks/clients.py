"""Clients against one served api: one caller, and 64 at once; one row of four float32 there and back.

    python benchmarks/clients.py [seconds each]

`tiffin.Client` sends msgpack and takes npy; the libraries send and take JSON, given to them ready made.
All run in this process, one after the other; the server is on the same cores.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import aiohttp
import httpcore
import httpx
import numpy as np
import urllib3
from report import Report
from served import Served

import tiffin

SOURCE = """
import numpy as np
import tiffin
from jaxtyping import Float32

@tiffin.service(name="twice")
class Twice:
    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return x * 2
"""
AT_ONCE = 64
ROW = np.ones((1, 4), np.float32)
LARGE = np.random.default_rng(0).random((2_490_000, 4), np.float32)
BODY = json.dumps({"x": ROW.tolist()}).encode()
HEADERS = {"content-type": "application/json"}
LARGE_TRIPS = 5

Call = Callable[[], object]
AsyncCall = Callable[[], Awaitable[object]]


def alone(call: Call, seconds: float) -> float:
    """Calls a second of one caller."""
    call()
    done, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        call()
        done += 1
    return done / (perf_counter() - began)


def threads(call: Call, seconds: float) -> float:
    call()
    counts = [0] * AT_ONCE
    began = perf_counter()

    def run(place: int) -> None:
        while perf_counter() - began < seconds:
            call()
            counts[place] += 1

    running = [threading.Thread(target=run, args=(place,)) for place in range(AT_ONCE)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (perf_counter() - began)


async def tasks(call: AsyncCall, seconds: float, number: int) -> float:
    await call()
    began = perf_counter()

    async def run() -> int:
        done = 0
        while perf_counter() - began < seconds:
            await call()
            done += 1
        return done

    counts = await asyncio.gather(*(run() for _ in range(number)))
    return sum(counts) / (perf_counter() - began)


def blocking(url: str, grpc: str, seconds: float) -> list[list[str]]:
    rows = []
    pool = urllib3.PoolManager(maxsize=AT_ONCE)
    core = httpcore.ConnectionPool(max_connections=AT_ONCE)
    x = httpx.Client(limits=httpx.Limits(max_connections=AT_ONCE), timeout=60)
    parts = urlsplit(url)
    plain = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def by_http_client() -> object:
        plain.request("POST", "/double", BODY, HEADERS)
        return json.loads(plain.getresponse().read())

    with tiffin.Client(url) as ours, tiffin.Client(grpc) as by_grpc:
        calls: dict[str, tuple[Call, bool]] = {
            "tiffin.Client": (lambda: ours.double(ROW), True),
            "tiffin.Client, gRPC": (lambda: by_grpc.double(ROW), True),
            "http.client": (by_http_client, False),
            "urllib3": (
                lambda: json.loads(pool.request("POST", f"{url}/double", body=BODY, headers=HEADERS).data),
                True,
            ),
            "httpcore": (
                lambda: json.loads(
                    core.request("POST", f"{url}/double", content=BODY, headers=HEADERS).content
                ),
                True,
            ),
            "httpx": (
                lambda: json.loads(x.post(f"{url}/double", content=BODY, headers=HEADERS).content),
                True,
            ),
        }
        for name, (call, shared) in calls.items():
            many = f"{threads(call, seconds):,.0f}" if shared else ""
            rows.append([name, f"{alone(call, seconds):,.0f}", many])
    return rows


async def awaited(url: str, grpc: str, seconds: float) -> list[list[str]]:
    rows = []
    async with (
        tiffin.AsyncClient(url) as ours,
        tiffin.AsyncClient(grpc) as by_grpc,
        aiohttp.ClientSession() as session,
        httpx.AsyncClient(timeout=60) as x,
    ):

        async def by_aiohttp() -> object:
            async with session.post(f"{url}/double", data=BODY, headers=HEADERS) as answer:
                return json.loads(await answer.read())

        async def by_httpx() -> object:
            return json.loads((await x.post(f"{url}/double", content=BODY, headers=HEADERS)).content)

        calls: dict[str, AsyncCall] = {
            "tiffin.AsyncClient": lambda: ours.double(ROW),
            "tiffin.AsyncClient, gRPC": lambda: by_grpc.double(ROW),
            "aiohttp": by_aiohttp,
            "httpx, async": by_httpx,
        }
        for name, call in calls.items():
            one, many = await tasks(call, seconds, 1), await tasks(call, seconds, AT_ONCE)
            rows.append([name, f"{one:,.0f}", f"{many:,.0f}"])
    return rows


def large(url: str) -> list[float]:
    """Seconds that 40 MB take there and back."""
    taken = []
    with tiffin.Client(url, timeout_s=120) as client:
        for _ in range(LARGE_TRIPS):
            began = perf_counter()
            client.double(LARGE)
            taken.append(perf_counter() - began)
    return taken


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    report = Report("clients")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "service.py").write_text(SOURCE)
        with Served(str(folder), "--no-access-log", home=folder / "home") as server:
            grpc = f"grpc://{server.grpc}"
            report.section(f"calls a second: one caller, {AT_ONCE} at once")
            rows = blocking(server.url, grpc, seconds) + asyncio.run(awaited(server.url, grpc, seconds))
            report.table(["client", "one", "many"], rows)
            report.section(f"{LARGE.nbytes / 1e6:.0f} MB of float32 there and back, seconds")
            trips = {url.partition(":")[0]: large(url) for url in (server.url, grpc)}
            report.table(
                ["by", "best", "median"],
                [
                    [name, f"{min(taken):.3f}", f"{statistics.median(taken):.3f}"]
                    for name, taken in trips.items()
                ],
            )
    report.keep({"calls_per_second": rows, "large_s": trips})


if __name__ == "__main__":
    main()
