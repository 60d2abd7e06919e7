"""Bodies to arguments and results to bodies: what `runtime/schema` costs a request, without a server.

    python benchmarks/codecs.py [rounds]

Processor time of this process, the least of all rounds, in microseconds. The first table has a bar for the
bodies of the benchmarks (W1: a row of 4 floats; W2 and W3: a row of 784 as JSON, npy, msgpack). The second
puts three ways to read a JSON array side by side, from which `runtime/schema/numbers.py` takes its smallest
size. The third says for how long a large body keeps the event loop waiting while a thread decodes it.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float32
from machine import machine
from report import table

from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.numbers import NumberBody
from tiffin.runtime.schema.outputs import Output

ROUND_S = 0.004
ROUNDS = 25
NPY, MSGPACK = "application/x-npy", "application/msgpack"


def iris(flowers: Float32[np.ndarray, "n 4"]) -> list[str]: ...
def digits(x: Float32[np.ndarray, "n 784"]) -> Float32[np.ndarray, "n 10"]: ...
def numbers(x: Float32[np.ndarray, "n m"]) -> int: ...


def least(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Microseconds of each; the calls take turns, so that a slow moment of the machine hits all of them."""
    best = [float("inf")] * len(calls)
    repeats = [_repeats(call) for call in calls]
    for _ in range(rounds):
        for at, call in enumerate(calls):
            begun = time.process_time()
            for _ in range(repeats[at]):
                call()
            best[at] = min(best[at], (time.process_time() - begun) / repeats[at] * 1e6)
    return best


def _repeats(call: Callable[[], Any]) -> int:
    call()
    begun = time.perf_counter()
    call()
    return max(int(ROUND_S / (time.perf_counter() - begun)), 1)


def saved(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def of_the_works() -> dict[str, tuple[Callable[[], Any], float]]:
    """Name to (call, bar in microseconds)."""
    rng = np.random.default_rng(0)
    row = rng.random((1, 784), dtype=np.float32)
    scores = rng.random((1, 10), dtype=np.float32)
    compact = {"x": {"dtype": "float32", "shape": [1, 784], "data": row.tobytes()}}
    bodies = {
        "iris": b'{"flowers":[[5.1,3.5,1.4,0.2]]}',
        "digits": json.dumps({"x": row.astype(float).tolist()}).encode(),
        "pixels": json.dumps({"x": (row * 255).astype(int).tolist()}).encode(),
        "npy": saved(row),
        "msgpack": msgspec.msgpack.encode(compact),
    }
    of_iris, to_iris = Inputs.of(iris, where="benchmark"), Output.of(iris, where="benchmark")
    of_digits, to_digits = Inputs.of(digits, where="benchmark"), Output.of(digits, where="benchmark")
    label, to_label = ["setosa"], to_iris.encoder("*/*")
    to_npy, to_msgpack = to_digits.encoder(NPY), to_digits.encoder(MSGPACK)
    return {
        "W1 decode, 4 floats in JSON": (lambda: of_iris.decode_json(bodies["iris"]), 2.5),
        "W1 encode, one string": (lambda: to_label(label), 0.6),
        "W2 decode, 784 floats of 17 digits": (lambda: of_digits.decode_json(bodies["digits"]), 24.0),
        "W2 decode, 784 integers": (lambda: of_digits.decode_json(bodies["pixels"]), 24.0),
        "W2 encode, 10 floats": (lambda: to_digits.encode_json(scores), 4.0),
        "W3 decode, 784 floats in npy": (lambda: of_digits.decode(NPY, bodies["npy"]), 4.0),
        "W3 decode, 784 floats in msgpack": (lambda: of_digits.decode(MSGPACK, bodies["msgpack"]), 4.0),
        "W3 encode, 10 floats in npy": (lambda: to_npy(scores), 4.0),
        "W3 encode, 10 floats in msgpack": (lambda: to_msgpack(scores), 4.0),
    }


def general(compiled: Inputs) -> Callable[[bytes], dict[str, Any]]:
    """The same without simdjson."""
    compiled._numbers = None
    return compiled.decode_json


def three_ways(count: int, width: int, rounds: int) -> list[str]:
    """A row of the table: `count` numbers in rows of `width`."""
    array = np.random.default_rng(0).random((max(count // width, 1), width)).round(6)
    body = json.dumps({"x": array.tolist()}).encode()
    simd = NumberBody.of(list(Inputs.of(numbers, where="benchmark").parameters.values()))
    slow = general(Inputs.of(numbers, where="benchmark"))
    calls: list[Callable[[], Any]] = [
        lambda: np.array(json.loads(body)["x"], np.float32),
        lambda: slow(body),
    ]
    if simd is not None:
        assert simd.read(body) is not None
        calls.append(lambda: simd.read(body))
    return [f"{count} in rows of {width}", f"{len(body)}", *(f"{us:.1f}" for us in least(calls, rounds))]


async def longest_wait_ms(call: Callable[[], Any]) -> float:
    """How long a task of the loop waits for its turn, at worst, while a thread calls."""
    waits, loop = [], asyncio.get_running_loop()
    work = loop.run_in_executor(None, call)
    while not work.done():
        begun = time.perf_counter()
        await asyncio.sleep(0)
        waits.append(time.perf_counter() - begun)
    await work
    return max(waits) * 1e3


def waits(megabytes: int) -> list[str]:
    array = np.random.default_rng(0).random((megabytes * 65, 784))
    body = json.dumps({"x": array.tolist()}).encode()
    row = [f"{len(body) / 1e6:.0f} MB"]
    compiled = Inputs.of(numbers, where="benchmark")
    for call in (compiled.decode_json, general(Inputs.of(numbers, where="benchmark"))):
        (us,) = least([lambda call=call: call(body)], 3)
        worst = min(asyncio.run(longest_wait_ms(lambda call=call: call(body))) for _ in range(3))
        row += [f"{us / 1e3:.0f} ms", f"{worst:.1f} ms"]
    return row


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    for name, value in machine().items():
        print(f"{name:<9} {value}")
    works = of_the_works()
    took = least([call for call, _ in works.values()], rounds)
    missed = [name for (name, (_, bar)), us in zip(works.items(), took, strict=True) if us > bar]
    print()
    table(
        ["body", "us", "bar", ""],
        [
            [name, f"{us:.2f}", f"{bar:.1f}", "missed" if name in missed else "met"]
            for (name, (_, bar)), us in zip(works.items(), took, strict=True)
        ],
    )
    print()
    sizes = [(count, width) for width in (4, 784) for count in (4, 16, 64, 128, 784, 7840) if count >= width]
    rows = [three_ways(count, width, rounds) for count, width in [*sizes, (64, 64), (128, 128)]]
    table(["numbers in JSON", "bytes", "json + numpy", "msgspec + numpy", "simdjson"], rows)
    print()
    head = ["in a thread", "in pieces: CPU", "loop waits", "msgspec: CPU", "loop waits"]
    table(head, [waits(megabytes) for megabytes in (1, 10)])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
