"""`bundle serve FILE`: every protocol without a line of code, and nothing left in the store."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import httpx
import joblib
import model_files
import pytest
import torch
from PIL import Image
from server import ServeFailedError, Server

import tiffin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("TIFFIN_HOME", str(home))
    return home


def test_a_joblib_file(tmp_path: Path, home: Path) -> None:
    joblib.dump(model_files.forest(), tmp_path / "iris.joblib")
    (tmp_path / "words.txt").write_text("\n".join(model_files.CLASSES))
    x, y = model_files.flowers()
    rows = x[:2].tolist()
    with Server(tmp_path / "iris.joblib", "--classes", str(tmp_path / "words.txt")) as server:
        url = server.base_url
        assert httpx.post(f"{url}/predict", json={"x": rows}).json() == y[:2].tolist()
        best = httpx.post(f"{url}/classify", json={"x": rows}).json()
        assert [label["label"] for label in best] == [model_files.CLASSES[number] for number in y[:2]]
        tensor = {"name": "x", "datatype": "FP64", "shape": [2, 4], "data": x[:2].ravel().tolist()}
        answer = httpx.post(f"{url}/v2/models/iris.predict/infer", json={"inputs": [tensor]}).json()
        assert answer["outputs"][0]["data"] == y[:2].tolist()
        assert httpx.get(f"{url}/schema").status_code == 200
        with tiffin.Client(url) as client:
            assert client.predict(x=x[:2]).tolist() == y[:2].tolist()
        wrong = httpx.post(f"{url}/predict", json={"x": [[1.0, 2.0]]})
        assert wrong.status_code == 422
    assert not list((home / "bundles").glob("[!.]*"))
    assert not list((home / "bundles" / ".tmp").iterdir())
    assert not (home / "models").exists()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_task(tmp_path: Path, home: Path) -> None:
    """An image goes in as a file; labels with scores come out."""

    class Mean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 10 * x.mean(dim=(2, 3))

    torch.jit.trace(Mean(), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "net.pt"))
    (tmp_path / "words.txt").write_text("red\ngreen\nblue")
    options = ("--task", "image-classification", "--input", "x:float32[n,3,8,8]")
    png = io.BytesIO()
    Image.new("RGB", (40, 30), (0, 0, 255)).save(png, format="PNG")
    with Server(tmp_path / "net.pt", *options, "--classes", str(tmp_path / "words.txt")) as server:
        url = server.base_url
        headers = {"content-type": "image/png"}
        best = httpx.post(f"{url}/classify", content=png.getvalue(), headers=headers).json()
        assert best[0]["label"] == "blue"
        assert best[0]["score"] > 0.9
        text = base64.b64encode(png.getvalue()).decode()
        several = httpx.post(f"{url}/classify_many", json={"images": [text, text]}).json()
        assert [labels[0]["label"] for labels in several] == ["blue", "blue"]
        film = httpx.post(f"{url}/classify_film", json={"film": {"data": text}}).json()
        assert film[0]["time_s"] == 0.0
        schema = httpx.get(f"{url}/schema").json()
        assert set(schema["components"]["schemas"]["Label"]["properties"]) == {"label", "score"}


def test_what_it_cannot_serve(tmp_path: Path, home: Path) -> None:
    joblib.dump(model_files.forest(), tmp_path / "iris.joblib")
    (tmp_path / "data.bin").write_bytes(b"\x93NUMPY")
    with (
        pytest.raises(ServeFailedError, match="forbids that here") as refused,
        Server(tmp_path / "iris.joblib", environ={"TIFFIN_ALLOW_PICKLE": "0"}),
    ):
        pass
    assert refused.value.code == 1
    with pytest.raises(ServeFailedError, match="seems to be a NumPy array"), Server(tmp_path / "data.bin"):
        pass


def test_a_changed_file_is_taken_with_reload(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "boost.ubj"
    x, y = model_files.flowers()
    first, second = model_files.boosted(), model_files.boosted()
    second.fit(x, 2 - y)
    first.save_model(file)
    with Server(file, "--reload") as server:
        ask = {"x": x[:1].tolist()}
        assert httpx.post(f"{server.base_url}/predict", json=ask).json() == [0]
        second.save_model(file)
        server.wait_event("reloaded")
        assert httpx.post(f"{server.base_url}/predict", json=ask).json() == [2]
