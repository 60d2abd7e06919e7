"""Texts of any length through a real server: every answer is that of the model alone."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from server import Server
from waiting import until

SERVICE = '''
import numpy as np
import tiffin
from jaxtyping import Float32, Int64

TABLE = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
BUCKETS, SIZES = (8, 32, 128), (1, 4, 16)


def work(tokens, *, scale=1.0):
    if any(len(row) and row[0] == 999 for row in tokens):
        raise ValueError("999 has no price")
    return [len(row) for row in tokens]


class Tagger:
    """Scores of each token, which depend on the mean of its text; padding must not count."""

    def __init__(self):
        self.shapes = []

    @tiffin.batch(pad=0, buckets=BUCKETS, sizes=SIZES, unpad=("scores",), cost=work, max_cost=1000)
    def tag(self, tokens: Int64[np.ndarray, "n t"], *, lengths, scale: float = 1.0) -> dict:
        self.shapes.append(list(tokens.shape))
        vectors = TABLE[tokens]
        real = np.arange(tokens.shape[1]) < lengths[:, None]
        mean = (vectors * real[..., None]).sum(1) / np.maximum(lengths, 1)[:, None]
        return {"scores": (vectors + mean[:, None]) * np.float32(scale), "mean": mean}

    def seen(self) -> list[list[int]]:
        return self.shapes


@tiffin.service(processes=2)
class Tags:
    tagger = tiffin.runner(Tagger)

    @tiffin.api
    async def tag(self, tokens: list[int], scale: float = 1.0) -> dict[str, list]:
        found = await self.tagger.tag.one(tokens, scale=scale)
        return {name: leaf.tolist() for name, leaf in found.items()}

    @tiffin.api
    async def tag_all(self, texts: list[list[int]]) -> list[list[list[float]]]:
        return [row.tolist() for row in (await self.tagger.tag(texts))["scores"]]

    @tiffin.api
    async def seen(self) -> list[list[int]]:
        return await self.tagger.seen()
'''


def alone(table: np.ndarray, tokens: list[int], scale: float = 1.0) -> np.ndarray:
    vectors = table[np.array(tokens, dtype=int)]
    mean = vectors.sum(0) / max(1, len(tokens))
    return (vectors + mean) * np.float32(scale)


def close(answer: Any, expected: np.ndarray) -> bool:
    got = np.array(answer, dtype=np.float32).reshape(expected.shape)
    return bool(np.allclose(got, expected, atol=1e-5))


def test_ragged_texts_through_a_real_server(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    table = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    chance = random.Random(7)
    texts = [
        [chance.randrange(999) for _ in range(chance.choice([0, 1, 5, 8, 9, 30, 33, 128]))]
        for _ in range(240)
    ]
    with Server(tmp_path) as server, httpx.Client(base_url=server.base_url, timeout=30) as client:

        def ask(place: int) -> bool:
            scale = 2.0 if place % 5 == 0 else 1.0
            if place % 3 == 0:
                body = {"texts": texts[place : place + 3]}
                rows = client.post("/tag_all", json=body).raise_for_status().json()
                return len(rows) == len(body["texts"]) and all(
                    close(row, alone(table, text)) for row, text in zip(rows, body["texts"], strict=True)
                )
            answer = client.post("/tag", json={"tokens": texts[place], "scale": scale}).raise_for_status()
            return close(answer.json()["scores"], alone(table, texts[place], scale))

        with ThreadPoolExecutor(24) as pool:
            assert all(pool.map(ask, range(len(texts))))
        shapes = client.post("/seen", json={}).json()
        assert {length for _, length in shapes} == {8, 32, 128}
        assert {rows for rows, _ in shapes} == {1, 4, 16}
        # Before anybody called, every size of every bucket was tried.
        assert sorted(map(tuple, shapes[:9])) == [(n, length) for n in (1, 4, 16) for length in (8, 32, 128)]

        too_long = client.post("/tag", json={"tokens": [1] * 129})
        assert (too_long.status_code, too_long.json()["detail"]) == (
            422,
            "a row of length 129 is longer than tagger.tag takes: 128 at most",
        )
        assert client.post("/tag", json={"tokens": [999]}).status_code == 500
        until(lambda: "ValueError: 999 has no price" in server.log())
