"""`bundle containerize` and `bundle run`, with programs that pose as engines; `tests/image` has real ones."""

from __future__ import annotations

import errno
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_program import FakeProgram
from projects import echo_project

import tiffin
from tiffin.cli.main import root
from tiffin.errors import IntegrityError

ID = "sha256:" + "5" * 64
NAME = "echo:v1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("containerize")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        tiffin.build(echo_project(folder / "project"), version="v1", lock=False)
    return folder / "home"


@pytest.fixture
def programs(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH."""
    monkeypatch.setenv("TIFFIN_HOME", str(home))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def described(architecture: str) -> str:
    found = {
        "Id": ID,
        "Size": 123_456_789,
        "Os": "linux",
        "Architecture": architecture,
        "RootFS": {"Layers": ["sha256:1", "sha256:2"]},
        "Config": {"ExposedPorts": {"3000/tcp": {}}},
    }
    return json.dumps([found])


@pytest.fixture
def podman(programs: Path) -> FakeProgram:
    """Says that it built and has the image."""
    fake = FakeProgram(programs, "podman")
    fake.say("version", stdout="4.3.1\n")
    fake.say("build", files={"--iidfile": ID})
    fake.say("image", "inspect", stdout=described("amd64"))
    fake.say("image", "inspect", f"{NAME}-arm64", stdout=described("arm64"))
    fake.say("push", files={"--digestfile": "sha256:" + "7" * 64})
    return fake


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        root.main(list(arguments), prog_name="bundle")
    assert isinstance(end.value.code, int)
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


def test_panel(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    code, out, err = run(capsys, "containerize", "echo", "--tag", "registry.example.com/echo:1", "--push")
    assert code == 0, err
    assert "not locked" in err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == f"Built the image of {NAME}"
    assert f"image {NAME} registry.example.com/echo:1" in lines
    assert f"pushed registry.example.com/echo:1@sha256:{'7' * 64}" in lines
    assert "size 123 MB in 2 layers" in lines
    assert "engine podman 4.3.1 answers; docker is not installed" in lines
    assert lines[-2:] == [f"bundle run {NAME}", f"podman run --rm -p 3000:3000 {NAME}"]
    build = podman.arguments("build")
    assert build[build.index("--tag") + 1] == NAME
    assert "\nCOPY --link" not in next(call["dockerfile"] for call in podman.calls if "dockerfile" in call)


def test_json_and_quiet(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    arguments = ("containerize", "echo", "--network", "host", "--no-cache", "--build-arg", "A=1=2")
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["bundle"], found["tags"], found["id"]) == (NAME, [NAME], ID)
    assert (found["platform"], found["engine"], found["digests"]) == ("linux/amd64", "podman", {})
    build = podman.arguments("build")
    assert build[build.index("--network") + 1] == "host"
    assert "A=1=2" in build
    assert "--no-cache" in build
    assert run(capsys, *arguments, "--quiet") == (0, f"{ID}\n", "")


def test_several_platforms(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    podman.say("manifest")
    podman.say("manifest", "push", files={"--digestfile": "sha256:" + "8" * 64})
    podman.say("untag")
    arguments = [
        "containerize",
        "echo",
        "--platform",
        "linux/amd64,linux/arm64",
        "--tag",
        "r.example.com/echo",
    ]
    code, out, err = run(capsys, *arguments, "--push")
    assert code == 0, err
    built = [call["arguments"] for call in podman.calls if call["arguments"][0] == "build"]
    for command, platform in zip(built, ("amd64", "arm64"), strict=True):
        named = [command[place + 1] for place, each in enumerate(command) if each == "--tag"]
        assert named == [f"{NAME}-{platform}", f"r.example.com/echo:latest-{platform}"]
        assert command[command.index("--platform") + 1] == f"linux/{platform}"
    lists = [call["arguments"][2] for call in podman.calls if call["arguments"][:2] == ["manifest", "create"]]
    assert lists == [NAME, "r.example.com/echo"]
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == f"Built the images of {NAME}"
    assert f"pushed r.example.com/echo@sha256:{'8' * 64}" in lines
    assert f"linux/amd64 {NAME}-amd64 123 MB, on python:" in " ".join(lines)
    assert lines[-1] == f"podman run --rm -p 3000:3000 {NAME}"
    code, out, _ = run(capsys, *arguments, "--json")
    found = json.loads(out)
    assert [image["tags"][0] for image in found["images"]] == [f"{NAME}-amd64", f"{NAME}-arm64"]
    assert (code, found["tags"], found["digests"]) == (0, [NAME, "r.example.com/echo"], {})
    code, out, _ = run(capsys, *arguments, "--quiet")
    assert out == f"{ID}\n{ID}\n"


def test_an_image_for_another_platform_is_none(
    capsys: pytest.CaptureFixture[str], podman: FakeProgram
) -> None:
    code, out, err = run(capsys, "containerize", "echo", "--platform", "linux/arm64")
    assert (code, out) == (1, "")
    said = " ".join(err.split())
    assert "podman made an image for linux/amd64, where linux/arm64 was asked for: check that python:" in said
    assert run(capsys, "containerize", "echo", "--platform", "linux/amd64", "--quiet")[0] == 0


def test_one_of_several_platforms_fails(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    podman.say("build", stdout="STEP 1/2: FROM x\n", stderr="Error: exec format error\n", code=125)
    code, _, err = run(capsys, "containerize", "echo", "--platform", "linux/amd64,linux/arm64")
    assert (code, "linux/amd64: podman could not build" in err) == (1, True)
    assert not [call for call in podman.calls if call["arguments"][0] == "manifest"]


def test_every_platform_of_the_bundle(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    code, out, err = run(capsys, "containerize", "echo", "--platform", "all", "--quiet")
    assert (code, out) == (0, f"{ID}\n"), err  # its only one
    assert "--platform" in podman.arguments("build")


def test_print_needs_no_engine(capsys: pytest.CaptureFixture[str], programs: Path, home: Path) -> None:
    code, out, _ = run(capsys, "containerize", "echo", "--print")
    assert code == 0
    assert out == (home / "bundles/echo/v1/env/docker/Dockerfile").read_text()
    code, out, _ = run(capsys, "containerize", "echo", "--print", "--base", "debian:bookworm")
    assert (code, "FROM debian:bookworm" in out) == (0, True)
    code, out, err = run(capsys, "containerize", "echo", "--print")
    assert "the requirements are not locked" in err
    assert "the requirements are not locked" not in out


def test_without_an_engine_the_context_is_left(
    capsys: pytest.CaptureFixture[str], programs: Path, tmp_path: Path
) -> None:
    code, out, err = run(capsys, "containerize", "echo")
    assert (code, out) == (1, "")
    assert "no container engine answers: docker is not installed" in err
    assert "pip install 'tiffin[docker]'" in err
    assert f"docker build -t {NAME} - < echo-v1.context.tar" in err
    with tarfile.open(tmp_path / "echo-v1.context.tar") as archive:
        assert {"Dockerfile", "bundle.yaml", "src/service.py"} <= set(archive.getnames())


def test_no_half_of_a_context_is_left(
    capsys: pytest.CaptureFixture[str], programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object, **__: object) -> Iterator[bytes]:
        yield b"half of it"
        raise IntegrityError("a model is not what its digest says")

    monkeypatch.setattr("tiffin.bundler.containerize.context", damaged)
    code, _, err = run(capsys, "containerize", "echo")
    assert (code, "not what its digest says" in err) == (1, True)
    assert not list(tmp_path.glob("*.tar"))


def test_no_room_for_a_context(
    capsys: pytest.CaptureFixture[str], programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Iterator[bytes]:
        yield b"half of it"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tiffin.bundler.containerize.context", full)
    code, _, err = run(capsys, "containerize", "echo")
    assert code == 1
    assert "no container engine answers" in err
    said = " ".join(err.split())
    assert (
        f"cannot be written to {tmp_path / 'echo-v1.context.tar'}: [Errno 28] No space left on device" in said
    )
    assert not list(tmp_path.glob("*.tar"))


def test_a_folder_with_something_in_it_is_refused_before_the_build(
    capsys: pytest.CaptureFixture[str], podman: FakeProgram, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    code, _, err = run(capsys, "containerize", "echo", "--output", "dir=full")
    assert (code, "full is not empty" in " ".join(err.split())) == (1, True)
    assert not [call for call in podman.calls if call["arguments"][0] == "build"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--push"], "--push needs the name to push to"),
        (["--tag", "Echo:1"], "'Echo:1' cannot be the name of an image"),
        (["--tag", "echo@sha256:" + "5" * 64], "cannot be the name of an image"),
        (["--output", "zip=x"], "use dir=FOLDER, tar=FILE or oci=FILE"),
        (["--output", "tar=x", "--output", "oci=./x"], "two outputs are at the same place"),
        (["--build-arg", "A"], "'A' is not KEY=VALUE"),
        (["--secret", "netrc"], "use id=ID,src=FILE or id=ID,env=VARIABLE"),
        (["--secret", "id=netrc,src=/none/such"], "there is no file /none/such"),
        (["--secret", "id=token,env=TIFFIN_NO_SUCH_VARIABLE"], "TIFFIN_NO_SUCH_VARIABLE is not set"),
        (["--platform", "windows/amd64"], "use linux/amd64 or linux/arm64"),
        (["--platform", "all,linux/arm64"], "stands for every platform"),
        (["--platform", "linux/amd64,linux/arm64", "--print"], "--print is for one platform"),
        (["--platform", "linux/amd64,linux/arm64", "-o", "tar=x"], "--output is for one platform"),
        (["--platform", "linux/amd64,linux/arm64", "--push"], "--push needs the name to push to"),
        (["--platform", "linux/amd64,linux/s390x"], "not for 'linux/s390x'"),
        (["--base", "no image"], "is not the name of an image"),
    ],
)
def test_wrong_use(
    capsys: pytest.CaptureFixture[str], podman: FakeProgram, arguments: list[str], said: str
) -> None:
    code, out, err = run(capsys, "containerize", "echo", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert not [call for call in podman.calls if call["arguments"][0] == "build"]


def test_secrets_are_named_and_never_read(
    capsys: pytest.CaptureFixture[str], podman: FakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("password geheim")
    monkeypatch.setenv("TOKEN_OF_A_TEST", "geheim")
    secrets = ["--secret", "id=netrc,src=netrc", "--secret", "id=token,env=TOKEN_OF_A_TEST"]
    code, out, err = run(capsys, "containerize", "echo", *secrets, "--json")
    assert code == 0
    build = podman.arguments("build")
    assert f"id=netrc,src={tmp_path / 'netrc'}" in build
    assert "id=token,env=TOKEN_OF_A_TEST" in build
    assert "geheim" not in out + err + json.dumps(podman.calls)


def test_a_build_that_fails(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    podman.say("build", stdout="STEP 1/2: FROM x\n", stderr="Error: no space left on device\n", code=125)
    code, out, err = run(capsys, "containerize", "echo")
    assert (code, out) == (1, "")
    assert "podman could not build the image: 'FROM x' failed" in err
    assert "the disk is full" in err


def test_run_until_it_ends(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    ended = [{"State": {"Status": "exited", "ExitCode": 3}}]
    podman.say("create", stdout="abc123\n")
    podman.say("start", "abc123")
    podman.say("port", stdout="127.0.0.1:9\n")  # discard: nobody listens
    podman.say("container", "inspect", stdout=json.dumps(ended))
    podman.say("logs", stdout="what it wrote\n")
    podman.say("rm")
    code, _, err = run(
        capsys, "run", "echo", "--env", "A=1", "--port", "0", "--gpus", "1", "--name", "mine", "--", "serve"
    )
    assert code == 1
    assert "the container ended with exit code 3 before it was ready" in err
    started = podman.arguments("create")
    assert started[-2:] == [NAME, "serve"]
    assert started[started.index("--publish") + 1] == "127.0.0.1::3000"
    assert started[started.index("--device") + 1] == "nvidia.com/gpu=0"
    assert [started[place + 1] for place, each in enumerate(started) if each == "--env"] == [
        "BUNDLE_PORT",
        "A",
    ], "values are on no command line"
    assert podman.arguments("rm") == ["rm", "--force", "abc123"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "many"], "'many' is neither all nor a number"),
        (["--env", "TIFFIN_NO_SUCH_VARIABLE"], "TIFFIN_NO_SUCH_VARIABLE is not set"),
        (["--env", "=1"], "is not KEY=VALUE"),
    ],
)
def test_wrong_use_of_run(
    capsys: pytest.CaptureFixture[str], podman: FakeProgram, arguments: list[str], said: str
) -> None:
    code, _, err = run(capsys, "run", "echo", *arguments)
    assert (code, said in err) == (2, True)


def test_run_without_the_image(capsys: pytest.CaptureFixture[str], podman: FakeProgram) -> None:
    podman.say("image", "inspect", stderr="no such image", code=125)
    code, _, err = run(capsys, "run", "echo")
    assert code == 1
    assert "podman has no image echo:v1: make it of the bundle with `bundle containerize echo:v1`" in err


def test_json_of_wrong_use_is_no_json(capsys: pytest.CaptureFixture[str], programs: Path) -> None:
    code, out, err = run(capsys, "containerize", "nothing", "--json")
    assert (code, out) == (1, "")
    assert "no bundle 'nothing'" in err


def test_the_same_platforms_are_offered_by_both_commands() -> None:
    context = root.make_context("bundle", [], resilient_parsing=True)

    def answers(name: str, typed: str) -> list[str]:
        command = root.get_command(context, name)
        assert command is not None
        option = next(one for one in command.params if one.name == "platforms")
        return [item.value for item in option.shell_complete(context, typed)]

    assert answers("build", "") == ["linux/amd64", "linux/arm64"]
    assert answers("containerize", "") == ["all", "linux/amd64", "linux/amd64,linux/arm64", "linux/arm64"]
    assert answers("containerize", "a") == ["all"]
