"""What the Open Inference Protocol says and does besides inference, on a server of several API processes.

Calls by tritonclient are told in the words of its own methods; each is made often enough that every process
answers some of them.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from server import Server
from waiting import until

triton = pytest.importorskip("tritonclient.http")
shm = pytest.importorskip("tritonclient.utils.shared_memory")

PROCESSES = 3
OFTEN = 24
"""Connections that are made so that most, as a rule all, processes answer some."""
PROJECT = """
from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator

import numpy as np
from jaxtyping import Float32

import tiffin


class Doubler:
    @tiffin.batch(max_size=16)
    def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return x * 2


@tiffin.service(name="demo")
class Demo:
    doubler = tiffin.runner(Doubler)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return await self.doubler.double(x)

    @tiffin.api
    async def speak(self, word: str) -> int:
        logging.getLogger("demo").debug("debug %s", word)
        logging.getLogger("demo").info("info %s", word)
        logging.getLogger("demo").warning("warning %s", word)
        return os.getpid()

    @tiffin.api
    async def words(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield word
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "service.py").write_text(PROJECT)
    options = ("--processes", str(PROCESSES), "--allow-client-shm", "--expose-runners")
    with Server(folder, *options) as running:
        yield running


def with_every_process(server: Server, ask: Callable[[Any], Any]) -> list[Any]:
    """What `ask` gives with many clients of their own: each has a connection of its own."""
    found = []
    for _ in range(OFTEN):
        with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
            found.append(ask(client))
    return found


def speak(server: Server, word: str) -> list[int]:
    """Makes every process log a debug, an info and a warning record; the number of the process of each call.

    They share one listening socket and whoever wakes first takes the call, so it goes on until all had some.
    """
    end = time.monotonic() + 120
    found: list[int] = []
    while len(found) < OFTEN or len(set(found)) < PROCESSES:
        assert time.monotonic() < end, f"{len(found)} calls reached {set(found)} only"
        answer = httpx.post(
            f"{server.base_url}/speak", json={"word": word}, headers={"connection": "close"}, timeout=30
        )
        found.append(answer.json())
    return found


def given(array: Any) -> Any:
    made = triton.InferInput("x", list(array.shape), "FP32")
    made.set_data_from_numpy(array)
    return made


def test_statistics_are_those_of_all_processes(server: Server) -> None:
    array = np.ones((2, 4), np.float32)
    with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        known, *_, runner = client.get_inference_statistics()["model_stats"]  # what other tests have asked
    before = int(time.time() * 1000)
    with_every_process(server, lambda client: client.infer("demo.double", [given(array)]))

    def refused(client: Any) -> None:
        with pytest.raises(triton.InferenceServerException):
            client.infer("demo.double", [given(np.ones((2, 5), np.float32))])

    with_every_process(server, refused)
    found = with_every_process(server, lambda client: client.get_inference_statistics("demo.double"))
    assert all(each == found[0] for each in found), "whoever is asked"
    (model,) = found[0]["model_stats"]
    assert (model["name"], model["version"]) == ("demo.double", "1")
    assert before <= model["last_inference"] <= time.time() * 1000
    assert model["inference_count"] == known["inference_count"] + 2 * OFTEN
    stats = model["inference_stats"]
    for name in ("success", "queue", "compute_infer", "fail"):
        assert stats[name]["count"] == known["inference_stats"][name]["count"] + OFTEN, name
    parts = [stats[name]["ns"] for name in ("queue", "compute_input", "compute_infer", "compute_output")]
    assert stats["compute_infer"]["ns"] > 0
    assert sum(parts) <= stats["success"]["ns"]
    assert sum(each["compute_infer"]["count"] for each in model["batch_stats"]) == model["execution_count"]
    with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        everything = client.get_inference_statistics()["model_stats"]
        assert [each["name"] for each in everything] == [
            *("demo.double", "demo.speak", "demo.words", "demo.doubler.double"),
        ]
        answered = runner["inference_stats"]["success"]["count"] + OFTEN
        assert everything[3]["inference_stats"]["success"]["count"] == answered


def test_configuration_lets_load_generators_batch(server: Server) -> None:
    with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        config = client.get_model_config("demo.double")
        assert config["max_batch_size"] == 64
        assert config["input"][0]["dims"] == [4]
        assert config["instance_group"] == [
            {"name": "doubler", "kind": "KIND_CPU", "count": 1, "gpus": [], "passive": False}
        ]
        assert "dynamic_batching" in config
        assert client.get_model_config("demo.doubler.double")["max_batch_size"] == 16
        assert client.get_model_config("demo.words")["model_transaction_policy"] == {"decoupled": True}


def test_log_settings_hold_in_every_process(server: Server) -> None:
    with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        quiet = client.update_log_settings({"log_info": False, "log_format": "json"})
        assert (quiet["log_info"], quiet["log_format"]) == (False, "json")
    found = with_every_process(server, lambda client: client.get_log_settings())
    assert all(each == quiet for each in found)
    quietly = len(speak(server, "quietly"))
    until(lambda: server.log().count('"msg":"warning quietly"') == quietly)
    assert "info quietly" not in server.log()
    # A process that comes later starts with them, too.
    old = server.pids("server")
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(server.pids("server")) - set(old)) == PROCESSES)
    until(lambda: _ready(server))
    anew = speak(server, "anew")
    assert not set(anew) & set(old)
    until(lambda: server.log().count('"msg":"warning anew"') == len(anew))
    assert "info anew" not in server.log()
    with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        client.update_log_settings({"log_info": True, "log_format": "default", "log_verbose_level": 1})
    aloud = len(speak(server, "aloud"))
    until(lambda: server.log().count("debug aloud") == aloud)
    assert '"msg":"warning aloud"' not in server.log()


def _ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.base_url}/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_shared_memory_holds_in_every_process(server: Server) -> None:
    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    key = f"/tiffin_{secrets.token_hex(4)}"
    region = shm.create_shared_memory_region("both", key, array.nbytes * 2)
    try:
        shm.set_shared_memory_region(region, [array])
        with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
            client.register_system_shared_memory("both", key, array.nbytes * 2)

        def infer(client: Any) -> None:
            shm.set_shared_memory_region(region, [array, np.zeros_like(array)])
            asked = triton.InferRequestedOutput("output")
            asked.set_shared_memory("both", array.nbytes, offset=array.nbytes)
            put = triton.InferInput("x", [2, 4], "FP32")
            put.set_shared_memory("both", array.nbytes)
            client.infer("demo.double", [put], outputs=[asked])
            out = shm.get_contents_as_numpy(region, np.float32, [2, 4], offset=array.nbytes)
            np.testing.assert_array_equal(out, array * 2)

        with_every_process(server, infer)
        with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
            client.unregister_system_shared_memory()
        found = with_every_process(server, lambda client: client.get_system_shared_memory_status())
        assert found == [[]] * OFTEN
    finally:
        shm.destroy_shared_memory_region(region)


def test_the_repository_tells_what_cannot_be(server: Server) -> None:
    with triton.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        names = [each["name"] for each in client.get_model_repository_index()]
        assert names == ["demo.double", "demo.speak", "demo.words", "demo.doubler.double"]
        client.load_model("demo.double")
        with pytest.raises(triton.InferenceServerException, match="takes no config"):
            client.load_model("demo.double", config='{"max_batch_size": 3}')
        with pytest.raises(triton.InferenceServerException, match="unknown model"):
            client.load_model("nope")
        with pytest.raises(triton.InferenceServerException, match="cannot unload"):
            client.unload_model("demo.double")
        client.unload_model("nope")
        assert client.is_model_ready("demo.double")


def test_generate_streams_events(server: Server) -> None:
    with httpx.stream(
        "POST", f"{server.base_url}/v2/models/demo.words/generate_stream", json={"text_input": "a b"}
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert [line for line in answer.iter_lines() if line] == [
            'data: {"model_name":"demo.words","model_version":"1","text_output":"a"}',
            'data: {"model_name":"demo.words","model_version":"1","text_output":"b"}',
        ]


def test_names_in_paths_are_decoded(server: Server) -> None:
    assert httpx.get(f"{server.base_url}/v2/models/demo%2Edouble").json()["name"] == "demo.double"


def test_callers_make_no_series(server: Server) -> None:
    for number in range(5):
        for path in (f"/v2/models/m{number}", f"/v2/models/m{number}/infer", f"/v2/x{number}"):
            httpx.post(f"{server.base_url}{path}", content=b"{}")
    page = httpx.get(f"{server.base_url}/metrics").text
    assert 'route="/v2/models/{model}[/versions/{version}]"' in page
    assert not any(
        f"m{number}" in line for number in range(5) for line in page.splitlines() if "/v2/" in line
    )
    assert "tally" not in page
