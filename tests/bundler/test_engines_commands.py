"""How each engine is called, with programs that only note it down; `tests/image` has real ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_program import FakeProgram

from tiffin.bundler.engines import buildah, commands, docker, nerdctl, podman
from tiffin.bundler.engines.causes import push_failed
from tiffin.bundler.engines.choose import choose
from tiffin.bundler.engines.command import words
from tiffin.bundler.engines.engine import BuildRequest, Engine, RunRequest, Secret
from tiffin.bundler.engines.found import numbers
from tiffin.errors import ImageError, IntegrityError, NoEngineError, NotFoundError

ID = "sha256:" + "5" * 64


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return folder


def request(tmp_path: Path, **changes: Any) -> BuildRequest:
    def context() -> Iterator[bytes]:
        yield b"first "
        yield b"second"

    made = BuildRequest(
        dockerfile="FROM scratch\n",
        folder=tmp_path,
        context=context,
        dockerfile_path="Dockerfile",
        tags=["iris:1", "registry.example.com/iris:1"],
        labels={"b": "2", "a": "1"},
        build_args={"SOURCE_DATE_EPOCH": "315532800"},
        secrets=[Secret("netrc", "src=/home/me/.netrc"), Secret("token", "env=TOKEN")],
        platform="linux/arm64",
        network="host",
        no_cache=True,
        timestamp=315532800,
    )
    return replace(made, **changes)


COMMON = [
    *("--tag", "iris:1", "--tag", "registry.example.com/iris:1", "--label", "a=1", "--label", "b=2"),
    *("--build-arg", "SOURCE_DATE_EPOCH=315532800"),
    *("--secret", "id=netrc,src=/home/me/.netrc", "--secret", "id=token,env=TOKEN"),
    *("--platform", "linux/arm64", "--network", "host", "--no-cache"),
]


def silent(text: str, done: int, total: int) -> None:
    pass


def options(arguments: list[str]) -> list[str]:
    """Without the temporary paths."""
    return [each for each in arguments if "tiffin-image-" not in each]


def fake_nerdctl(folder: Path) -> FakeProgram:
    fake = FakeProgram(folder, "nerdctl")
    fake.say("version", stdout="2.0.3\n")
    fake.say("info")
    return fake


def fake_podman(folder: Path, version: str = "4.3.1") -> FakeProgram:
    fake = FakeProgram(folder, "podman")
    fake.say("version", stdout=f"{version}\n")
    return fake


def fake_buildah(folder: Path, version: str = "1.28.2") -> FakeProgram:
    fake = FakeProgram(folder, "buildah")
    fake.say(
        "--version", stdout=f"buildah version {version} (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)\n"
    )
    return fake


BUILDAHS = ["--layers", "--force-rm", "--format", "docker", "--timestamp", "315532800"]


def test_build(programs: Path, tmp_path: Path) -> None:
    fakes = {
        "podman": (fake_podman(programs), BUILDAHS),
        "buildah": (fake_buildah(programs), BUILDAHS),
        "nerdctl": (fake_nerdctl(programs), ["--progress", "plain"]),
    }
    for name, (fake, own) in fakes.items():
        fake.say("build", files={"--iidfile": ID})
        engine = choose(name).engine
        assert engine.build(request(tmp_path), silent) == ID
        call = fake.calls[-1]
        assert options(call["arguments"]) == ["build", "--file", "--iidfile", *own, *COMMON, str(tmp_path)]
        assert call["dockerfile"] == "FROM scratch\n"


def test_a_build_that_fails(programs: Path, tmp_path: Path) -> None:
    fake = fake_podman(programs)
    fake.say(
        "build",
        stdout="STEP 1/2: FROM scratch\nSTEP 2/2: RUN apt-get install libnope\n",
        stderr="E: Unable to locate package libnope\nError: exit status 100\n",
        code=125,
    )
    with pytest.raises(ImageError, match=r"system_packages") as caught:
        podman.find().build(request(tmp_path), silent)
    assert "Unable to locate package libnope" in str(caught.value)


def test_link_is_known_from_a_version_on(programs: Path) -> None:
    for version, knows in (("4.3.1", False), ("5.5.2", False), ("5.6.0", True)):
        fake_podman(programs, version)
        assert podman.find().link is knows
    for version, knows in (("1.28.2", False), ("1.41.0", True)):
        fake_buildah(programs, version)
        assert buildah.find().link is knows
    fake_nerdctl(programs)
    assert nerdctl.find().link


def test_push_and_save(programs: Path, tmp_path: Path) -> None:
    digest = "sha256:" + "7" * 64
    pod, bud, ctl = fake_podman(programs), fake_buildah(programs), fake_nerdctl(programs)
    for fake in (pod, bud):
        fake.say("push", files={"--digestfile": digest})
        fake.say("save")
    ctl.say("push")
    ctl.say("save")
    ctl.say("image", "inspect", stdout=f"registry.example.com/iris@{digest}\n")
    engines: list[Engine] = [podman.find(), buildah.find(), nerdctl.find()]
    for engine in engines:
        assert engine.push("registry.example.com/iris:1", silent) == digest
    path = tmp_path / "image.tar"
    engines[0].save("iris:1", path, silent)
    assert pod.arguments("save") == ["save", "--format", "docker-archive", "--output", str(path), "iris:1"]
    bud.say("push", "iris:1")
    engines[1].save("iris:1", path, silent)
    assert bud.arguments("push") == ["push", "iris:1", f"docker-archive:{path}:iris:1"]
    engines[2].save("iris:1", path, silent)
    assert ctl.arguments("save") == ["save", "--output", str(path), "iris:1"]


def test_join(programs: Path) -> None:
    images = ["iris:1-amd64", "iris:1-arm64"]
    pod, bud = fake_podman(programs), fake_buildah(programs)
    found = {"Id": "5" * 64, "Os": "linux", "Architecture": "arm64"}
    pod.say("image", "inspect", stdout=json.dumps([found]))
    own = {"FromImageID": "5" * 64, "Docker": {"os": "linux", "architecture": "arm64", "config": {}}}
    own["Docker"]["rootfs"] = {"diff_ids": []}  # type: ignore[index]
    bud.say("inspect", stdout=json.dumps(own))
    bud.say("images", stdout=json.dumps([{"size": "1.5 MB"}]))
    for fake, forget, digest in (
        (pod, ["untag", "iris:1", "iris:1"], "sha256:7"),
        (bud, ["rmi", "iris:1"], ""),
    ):
        fake.say("manifest")
        fake.say("manifest", "rm", stderr="no such list", code=125)
        fake.say(forget[0], stderr="no such image", code=125)
        engine = choose(fake.path.name).engine
        engine.join("iris:1", images)
        calls = [call["arguments"] for call in fake.calls if call["arguments"][0] in {"manifest", forget[0]}]
        add = ["manifest", "add", "iris:1", f"containers-storage:{'5' * 64}"]
        assert calls == [
            ["manifest", "rm", "iris:1"],
            forget,
            ["manifest", "create", "iris:1"],
            *(add, add),
        ]
        fake.say("manifest", "push", files={"--digestfile": "sha256:7\n"} if digest else {})
        assert engine.push_joined("iris:1", images, silent) == digest
        push = fake.arguments("manifest", "push")
        assert (push[2:5], push[-2:]) == (["--all", "--format", "v2s2"], ["iris:1", "docker://iris:1"])
        fake.say("manifest", "add", stderr="disk full", code=125)
        with pytest.raises(ImageError, match="disk full"):
            engine.join("iris:1", images)
        assert fake.calls[-1]["arguments"] == ["manifest", "rm", "iris:1"], "no half of a list is left"


def test_inspect(programs: Path) -> None:
    config = {
        "ExposedPorts": {"3000/tcp": {}},
        "Labels": {"tiffin.bundle": "iris:1"},
        "Env": ["PATH=/bin", "EMPTY="],
    }
    found = {
        "Id": "5" * 64,
        "Size": 123,
        "Os": "linux",
        "Architecture": "arm64",
        "RootFS": {"Layers": ["sha256:1"]},
        "Config": config,
    }
    fake_podman(programs).say("image", "inspect", stdout=json.dumps([found]))
    facts = podman.find().inspect("iris:1")
    assert (facts.id, facts.size_bytes, facts.layers, facts.port) == (ID, 123, ["sha256:1"], 3000)
    assert (facts.platform, facts.env) == ("linux/arm64", {"PATH": "/bin", "EMPTY": ""})
    own = {
        "FromImageID": "5" * 64,
        "Docker": {
            "os": "linux",
            "architecture": "arm64",
            "config": config,
            "rootfs": {"diff_ids": ["sha256:1"]},
        },
    }
    fake = fake_buildah(programs)
    fake.say("inspect", stdout=json.dumps(own))
    fake.say("images", stdout=json.dumps([{"size": "1.5 MB"}]))
    built = buildah.find().inspect("iris:1")
    assert (built.id, built.size_bytes, built.layers) == (ID, 1_500_000, ["sha256:1"])
    assert (built.port, built.platform, built.labels) == (3000, "linux/arm64", facts.labels)
    fake.say("inspect", stderr="image not known", code=125)
    with pytest.raises(NotFoundError, match="buildah has no image iris:2"):
        buildah.find().inspect("iris:2")


def test_run(programs: Path) -> None:
    pod, ctl = fake_podman(programs), fake_nerdctl(programs)
    for fake in (pod, ctl):
        fake.say("create", stdout="Resolving…\nabc123\n")
        fake.say("start", "abc123")
        fake.say("port", stdout="127.0.0.1:49153\n")
        fake.say("container", "inspect", stdout=json.dumps([{"State": {"Status": "exited", "ExitCode": 3}}]))
        fake.say("stop")
        fake.say("rm", stderr="Error: no such container abc123", code=1)
    wanted = RunRequest(
        image="iris:1", container_port=3000, gpus="all", env={"A": "1"}, options=["serve"], name="mine"
    )
    container = podman.find().run(wanted)
    start = ["create", "--name", "mine", "--publish", "127.0.0.1::3000"]
    end = ["--env", "A", "iris:1", "serve"]
    assert pod.arguments("create") == [*start, "--device", "nvidia.com/gpu=all", *end]
    assert (container.id, container.port(), container.exit_code()) == ("abc123", 49153, 3)
    container.stop(7.0)
    assert pod.arguments("stop") == ["stop", "--time", "7", "abc123"]
    container.remove()  # gone already
    nerdctl.find().run(replace(wanted, port=8080, host="0.0.0.0", more_ports={3001: 8081}))
    start[-1:] = ["0.0.0.0:8080:3000", "--publish", "0.0.0.0:8081:3001"]
    assert ctl.arguments("create") == [*start, "--gpus", "all", *end]
    two = ["--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=1"]
    assert podman.find().gpu_options("2") == two


def test_values_of_variables_are_not_on_the_command_line(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SAME", "same")
    pod = fake_podman(programs)
    pod.say("create", stdout="abc123\n")
    pod.say("start", "abc123")
    env = {"TOKEN": "geheim\nin lines", "HOME": "/tmp", "SAME": "same", "LD_PRELOAD": "x.so"}
    asked: list[dict[str, str]] = []

    def ask(command: list[str], *, env: dict[str, str] | None = None, limit_s: float = 1.0) -> str:
        asked.append(env or {})
        return real_ask(command, env=env, limit_s=limit_s)

    real_ask = commands.ask
    monkeypatch.setattr(commands, "ask", ask)
    engine = podman.find()
    engine.run(RunRequest(image="iris:1", container_port=3000, host="::1", env=env))
    command = pod.arguments("create")
    assert "geheim" not in " ".join(command)
    # What podman itself would read stays an option.
    assert command[command.index("--env") :] == [
        *("--env", "TOKEN", "--env", "HOME=/tmp", "--env", "SAME", "--env", "LD_PRELOAD=x.so"),
        "iris:1",
    ]
    assert {"TOKEN": "geheim\nin lines", "SAME": "same"} in asked
    assert command[command.index("--publish") + 1] == "[::1]::3000"


def test_a_push_that_is_refused(programs: Path) -> None:
    pod = fake_podman(programs)
    pod.say("push", stderr="Error: trying to reuse blob: unauthorized: authentication required", code=125)
    with pytest.raises(
        ImageError, match=r"(?s)podman could not push r/iris:1: .*\nthe registry wants a name"
    ):
        podman.find().push("r/iris:1", silent)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("http: server gave HTTP response to HTTPS client", "plain HTTP"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "certs.d"),
        ("denied: requested access to the resource is denied", "docker login"),
        ("dial tcp: lookup nowhere: no such host", "was not reached"),
        ("no space left on device", "no room"),
        ("received unexpected HTTP status: 500 Internal Server Error", "the registry failed"),
        ("received unexpected HTTP status: 507 Insufficient Storage", "no room"),
        ("initiating layer upload to /v2/iris: name unknown", "create it there first"),
        ("toomanyrequests: You have reached your limit", "counts requests"),
        ('Post "http://r/v2/iris/blobs/uploads/": EOF', "the registry failed"),
        ("something else", ""),
    ],
)
def test_what_to_do_about_a_push(said: str, hint: str) -> None:
    first, _, last = push_failed("docker", "r/iris:1", said).partition("\n")
    assert first == f"docker could not push r/iris:1: {said}"
    assert (hint in last) if hint else last == ""


def test_buildah_runs_by_podman(programs: Path) -> None:
    fake_buildah(programs)
    wanted = RunRequest(image="iris:1", container_port=3000)
    with pytest.raises(ImageError, match="podman does, but podman is not installed"):
        buildah.find().run(wanted)
    fake = fake_podman(programs)
    fake.say("create", stdout="abc123\n")
    fake.say("start", "abc123")
    assert buildah.find().run(wanted).id == "abc123"


def test_nothing_is_left_of_a_container_that_does_not_start(programs: Path) -> None:
    fake = fake_podman(programs)
    fake.say("create", stdout="abc123\n")
    fake.say("start", stderr="address already in use", code=126)
    fake.say("rm")
    with pytest.raises(ImageError, match="address already in use"):
        podman.find().run(RunRequest(image="iris:1", container_port=3000, port=80))
    assert fake.arguments("rm") == ["rm", "--force", "abc123"]


def test_variables_of_a_container_are_in_no_error() -> None:
    command = ["podman", "create", "--env", "TOKEN=geheim\n=x", "--env", "A=", "iris:1"]
    assert words(command) == "podman create --env TOKEN=… --env A=… iris:1"


class NoSdk:
    """For a `DockerEngine` that only builds."""


def docker_engine(fake: FakeProgram, *, rawjson: bool = False, load: bool = False) -> docker.DockerEngine:
    sdk: Any = NoSdk()
    return docker.DockerEngine(sdk, "20.10.24+dfsg1", docker._Client(str(fake.path), rawjson, load))


def test_docker_reads_the_context_from_its_stdin(programs: Path, tmp_path: Path) -> None:
    fake = FakeProgram(programs, "docker")
    fake.say("build", files={"--iidfile": ID})
    assert docker_engine(fake).build(request(tmp_path), silent) == ID
    call = fake.calls[-1]
    start = ["build", "--progress", "plain", "--iidfile", "--file", "Dockerfile"]
    assert options(call["arguments"]) == [*start, *COMMON, "-"]
    assert call["stdin"] == "first second"
    docker_engine(fake, rawjson=True, load=True).build(request(tmp_path), silent)
    start = ["build", "--progress", "rawjson", "--iidfile", "--file", "Dockerfile", "--load"]
    assert options(fake.calls[-1]["arguments"]) == [*start, *COMMON, "-"]


def test_a_damaged_bundle_ends_the_build(programs: Path, tmp_path: Path) -> None:
    def context() -> Iterator[bytes]:
        yield b"first"
        raise IntegrityError("models/x is not what its digest says")

    fake = FakeProgram(programs, "docker")
    fake.say("build", files={"--iidfile": ID})
    with pytest.raises(IntegrityError, match="not what its digest says"):
        docker_engine(fake).build(request(tmp_path, context=context), silent)


def test_a_build_that_ends_before_it_has_read_all(programs: Path, tmp_path: Path) -> None:
    (programs / "docker").write_text("#!/bin/sh\necho 'failed to solve: Unknown flag: link'\nexit 1\n")
    (programs / "docker").chmod(0o755)

    def context() -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    sdk: Any = NoSdk()
    engine = docker.DockerEngine(sdk, "20.10", docker._Client(str(programs / "docker"), False, False))
    with pytest.raises(ImageError, match="Unknown flag: link"):
        engine.build(request(tmp_path, context=context), silent)


def test_the_docker_that_can_build_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = FakeProgram(tmp_path / "1", "docker"), FakeProgram(tmp_path / "2", "docker")
    first.say("context", stdout="unix:///run/mine.sock\n")
    first.say(
        "build", "--help", stderr="ERROR: BuildKit is enabled but the buildx component is missing", code=1
    )
    second.say("build", "--help", stdout="--progress string (auto, plain, tty)\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/1{os.pathsep}{tmp_path}/2")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    hosts = []

    class Sdk:
        def version(self) -> dict[str, str]:
            return {"Version": "28.2.2"}

        def close(self) -> None:
            pass

    def connect(host: str) -> Sdk:
        hosts.append(host)
        return Sdk()

    monkeypatch.setattr(docker, "_connect", connect)
    engine = docker.find()
    assert (engine.link, engine._client.program, engine._client.rawjson) == (True, str(second.path), False)
    assert hosts == ["unix:///run/mine.sock"]
    second.path.unlink()
    with pytest.raises(ImageError, match="cannot build with BuildKit: ERROR: BuildKit is enabled but"):
        docker.find()


def test_choose(programs: Path) -> None:
    with pytest.raises(NoEngineError) as caught:
        choose()
    message = str(caught.value)
    assert all(f"{name} is not installed" in message for name in ("docker", "podman", "buildah", "nerdctl"))
    assert "https://podman.io/docs/installation" in message
    fake_buildah(programs)
    engine, reason = choose()
    assert engine.name == "buildah"
    assert reason == "buildah 1.28.2 answers; docker is not installed; podman is not installed"
    with pytest.raises(NoEngineError, match="podman cannot be used: podman is not installed; install it, or"):
        choose("podman")
    fake_nerdctl(programs).say("info", stderr="cannot access containerd socket", code=1)
    with pytest.raises(NoEngineError, match=r"cannot access containerd socket; leave --engine out"):
        choose("nerdctl")


@pytest.mark.parametrize(
    ("text", "found"), [("20.10.24+dfsg1", (20, 10, 24)), ("v2.0.3", (2, 0, 3)), ("nonsense", ())]
)
def test_numbers(text: str, found: tuple[int, ...]) -> None:
    assert numbers(text) == found
