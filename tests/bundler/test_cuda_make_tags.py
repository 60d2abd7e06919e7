"""The table of `nvidia/cuda` follows a registry: Debian's own on this machine, and one that wants tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from registry import LIST, MANIFEST, Registry, running_registry

from tiffin.bundler.image import cuda_table, cuda_tags, make_tags
from tiffin.bundler.image.cuda_table import IMAGES, ImageRow, Images, images
from tiffin.bundler.image.make_tags import dumped, merged
from tiffin.bundler.image.registry import Repository, TagFacts
from tiffin.errors import ImageError

CUDNN = "cudnn-runtime"
BOTH = TagFacts(["linux/amd64", "linux/arm64"], {"NV_CUDNN_VERSION": "9.10.2.21-1"})


def row(release: str, distros: list[str], flavors: list[str], *, supported: bool = True) -> ImageRow:
    return ImageRow(
        release=release,
        distros=distros,
        flavors=flavors,
        platforms=["amd64"],
        supported=supported,
        source="tags",
        cudnn=9 if CUDNN in flavors else 0,
    )


def tags(release: str, distros: list[str], flavors: list[str]) -> list[str]:
    return [f"{release}-{flavor}-{distro}" for flavor in flavors for distro in distros]


OLD = row("12.8.1", ["ubuntu24.04", "ubi9"], ["base", "runtime"])
ALL = tags("12.8.1", OLD.distros, OLD.flavors)


def never(tag: str) -> TagFacts:
    raise AssertionError(f"{tag} was looked at")


def test_the_table_of_a_registry_that_has_the_same_is_the_same() -> None:
    text = IMAGES.read_text(encoding="utf-8")
    there = [tag.partition(":")[2] for tag in cuda_tags.every_tag()]
    assert merged(images().cuda, there, never) == images().cuda
    assert dumped(json.loads(text)) == text


def test_a_new_update_ends_the_mending_of_the_one_before() -> None:
    looked = []

    def look(tag: str) -> TagFacts:
        looked.append(tag)
        return BOTH

    new = [*tags("12.8.2", ["ubi9", "ubuntu24.04", "ubuntu22.04"], ["devel", "base"])]
    new += tags("12.8.2", ["ubuntu24.04", "ubuntu22.04"], [CUDNN])
    rows = merged([OLD], [*ALL, *new, "12.8.2-base-rockylinux9", "latest", "12.8-base-ubi9"], look)
    assert [(each.release, each.distros, each.flavors, each.cudnn) for each in rows] == [
        ("12.8.2", ["ubuntu24.04", "ubuntu22.04"], ["base", "devel", CUDNN], 9),
        ("12.8.2", ["ubi9"], ["base", "devel"], 0),
        ("12.8.1", OLD.distros, OLD.flavors, 0),
    ]
    assert [(each.supported, each.source) for each in rows] == [
        (True, "registry"),
        (True, "registry"),
        (False, "tags"),
    ]
    assert rows[0].platforms == ["amd64", "arm64"]
    assert looked == ["12.8.2-cudnn-runtime-ubuntu24.04", "12.8.2-devel-ubi9"], "once for each row"


def test_more_of_a_release_is_a_row_of_its_own() -> None:
    rows = merged([OLD], [*ALL, "12.8.1-base-ubuntu26.04", "12.8.1-devel-ubi9"], lambda _: BOTH)
    assert [(each.distros, each.flavors, each.supported) for each in rows] == [
        (OLD.distros, OLD.flavors, True),
        (["ubuntu26.04"], ["base"], True),
        (["ubi9"], ["devel"], True),
    ]


def test_what_is_gone_leaves_the_table() -> None:
    other = row("12.6.3", ["ubuntu24.04", "ubuntu22.04"], ["base"])
    many = [row(f"11.{number}.0", ["ubuntu22.04"], ["base", "runtime"]) for number in range(6)]
    there = [tag for each in [OLD, *many] for tag in tags(each.release, each.distros, each.flavors)]
    assert "12.6.3" not in {each.release for each in merged([OLD, other, *many], there, never)}
    rows = merged([OLD, other, *many], [*there, "12.6.3-base-ubuntu22.04"], lambda _: BOTH)
    (left,) = [each for each in rows if each.release == "12.6.3"]
    assert (left.distros, left.source) == (["ubuntu22.04"], "registry")
    with pytest.raises(ImageError, match=r"12 of the 18 tags of the table are not in the registry's list"):
        merged([OLD, other, *many], there[:6], never)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (TagFacts(["linux/amd64"], {}), "does not say which cuDNN"),
        (TagFacts(["linux/s390x"], {}), "is for linux/s390x only"),
    ],
)
def test_a_tag_that_is_not_what_its_name_says(facts: TagFacts, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        merged([OLD], [*ALL, f"12.9.0-{CUDNN}-ubi9"], lambda _: facts)


def push(registry: Registry, tag: str, machines: list[str], env: list[str]) -> None:
    """A manifest list and its images without layers."""
    base = f"http://{registry.address}/v2/nvidia/cuda"
    entries = []
    with httpx.Client(timeout=30) as client:

        def blob(data: bytes) -> dict[str, Any]:
            digest = f"sha256:{sha256(data).hexdigest()}"
            place = client.post(f"{base}/blobs/uploads/").raise_for_status().headers["location"]
            joint = "&" if "?" in place else "?"
            client.put(f"{place}{joint}digest={digest}", content=data).raise_for_status()
            return {"size": len(data), "digest": digest}

        def manifest(name: str, kind: str, text: dict[str, Any]) -> dict[str, Any]:
            data = json.dumps({"schemaVersion": 2, "mediaType": kind, **text}).encode()
            url = f"{base}/manifests/{name}"
            client.put(url, content=data, headers={"content-type": kind}).raise_for_status()
            return {
                "mediaType": kind,
                "size": len(data),
                "digest": f"sha256:{sha256(data).hexdigest()}",
            }

        for machine in machines:
            config = {"os": "linux", "architecture": machine, "config": {"Env": env}, "machine": machine}
            kind = "application/vnd.docker.container.image.v1+json"
            described = {"mediaType": kind, **blob(json.dumps(config).encode())}
            entry = manifest(f"{tag}-{machine}", MANIFEST, {"config": described, "layers": []})
            entries.append({**entry, "platform": {"os": "linux", "architecture": machine}})
        manifest(tag, LIST, {"manifests": entries})


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small table of its own, with the form of the real one."""
    real = json.loads(IMAGES.read_text(encoding="utf-8"))
    real["cuda"] = [each for each in real["cuda"] if each["release"] == "12.4.0"]
    path = tmp_path / "images.json"
    path.write_text(dumped(real), encoding="utf-8")
    monkeypatch.setattr(cuda_table, "IMAGES", path)
    monkeypatch.setattr(make_tags, "IMAGES", path)
    images.cache_clear()
    yield path
    images.cache_clear()


def test_a_real_registry(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = [tag.partition(":")[2] for tag in cuda_tags.every_tag()]
    with running_registry(tmp_path) as registry:
        for tag in known[1:]:
            push(registry, tag, ["amd64"], [])
        env = ["PATH=/bin", "NV_CUDNN_VERSION=9.10.2.21-1"]
        for tag in ("14.0.0-base-ubuntu26.04", f"14.0.0-{CUDNN}-ubuntu26.04"):
            push(registry, tag, ["amd64", "arm64"], env)
        assert make_tags.main(f"http://{registry.address}") == 0
        written = table.read_text()
        assert make_tags.main(f"http://{registry.address}") == 0, "a second time changes nothing but the day"
    read: Images = images()
    assert read.cuda[0] == ImageRow(
        release="14.0.0",
        distros=["ubuntu26.04"],
        flavors=["base", CUDNN],
        cudnn=9,
        platforms=["amd64", "arm64"],
        supported=True,
        source="registry",
    )
    assert f"http://{registry.address}/v2/nvidia/cuda/tags/list, read 20" in read.sources["registry"]
    assert known[0] not in {tag.partition(":")[2] for tag in cuda_tags.every_tag()}
    assert [line for line in table.read_text().splitlines() if line not in written.splitlines()] == []
    said = capsys.readouterr().err
    assert f"- nvidia/cuda:{known[0]}" in said
    assert "+ nvidia/cuda:14.0.0-base-ubuntu26.04" in said
    assert "CUDA 14.0 has no row in `drivers`" in said


class Hub(BaseHTTPRequestHandler):
    """A registry that wants a token, gives its tags in pages, and blobs by way of another place."""

    tags = ("1.0.0-base-ubi9", "a", "b", "c", "d")
    elsewhere = ""
    seen: list[tuple[str, str]]

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        token = self.headers.get("authorization", "")
        self.seen.append((asked.path, token))
        if asked.path == "/token":
            self._say({"token": "t1"} if query["scope"] == ["repository:nvidia/cuda:pull"] else {})
        elif asked.path == "/storage":
            self._say({"os": "linux", "architecture": "amd64", "config": {"Env": ["A=1=2"]}})
        elif token != "Bearer t1":
            realm = f'Bearer realm="{self._own}/token",service="hub",scope="repository:nvidia/cuda:pull"'
            self._say({}, 401, {"www-authenticate": realm})
        elif asked.path.endswith("/tags/list"):
            first = int(query.get("last", ["0"])[0])
            link = f'<{self.elsewhere}/v2/nvidia/cuda/tags/list?n=2&last={first + 2}>; rel="next"'
            more = first + 2 < len(self.tags)
            self._say({"tags": self.tags[first : first + 2]}, 200, {"link": link} if more else {})
        elif asked.path.endswith("/manifests/a"):
            self._say({"schemaVersion": 2, "config": {"digest": "sha256:1"}})
        elif asked.path.endswith("/blobs/sha256:1"):
            self._say({}, 307, {"location": f"{self._own}/storage"})
        else:
            self._say({"errors": []}, 404)

    @property
    def _own(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _say(self, what: dict[str, Any], code: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(what).encode()
        self.send_response(code)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Hub, "seen", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_tokens_pages_and_redirects(hub: str) -> None:
    repository = Repository("nvidia/cuda", hub)
    assert repository.tags() == list(Hub.tags)
    assert repository.facts("a") == TagFacts(["linux/amd64"], {"A": "1=2"})
    assert [path for path, _ in Hub.seen].count("/token") == 1
    assert ("/storage", "") in Hub.seen, "the token is for the registry only"
    with pytest.raises(ImageError, match="404"):
        repository.facts("none")


def test_a_page_of_another_server_is_not_followed(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "elsewhere", "http://127.0.0.1:1")
    with pytest.raises(ImageError, match="which is another server"):
        Repository("nvidia/cuda", hub).tags()


def test_no_registry(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = table.read_text()
    assert make_tags.main("http://127.0.0.1:1") == 1
    assert "refused" in capsys.readouterr().err
    assert table.read_text() == before
