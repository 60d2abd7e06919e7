"""Docker: its SDK for images and containers, its command line for builds: only that speaks BuildKit.

A client on the PATH may come without what BuildKit needs (Docker's own from 23 on wants the buildx plugin),
so each `docker` on the PATH is asked, and the first that can build is taken.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from ...errors import ImageError, MissingDependencyError, NotFoundError
from ..bar import Progress
from .buildkit_log import PlainLog, RawJsonLog
from .causes import explain, push_failed
from .command import ASK_LIMIT_S, PUSH_LIMIT_S, ask, follow
from .engine import BuildRequest, ImageFacts, RunRequest
from .found import numbers, programs
from .steps import Steps

if TYPE_CHECKING:
    import docker

BUILDKIT = {"DOCKER_BUILDKIT": "1"}
LINK_SINCE = (23,)
"""Of the engine, with BuildKit 0.10 in it: https://docs.docker.com/engine/release-notes/23.0/"""
_BLOCK_BYTES = 2 << 20


class _Client(NamedTuple):
    """A `docker` on the PATH that can build with BuildKit."""

    program: str
    rawjson: bool
    load: bool
    """Whether it must be told to put the image into the engine's store."""


def find() -> DockerEngine:
    """
    Raises:
        ImageError: no engine answers, or no client can build; says which.
        MissingDependencyError: the `docker` package is not installed.
    """
    clients = programs("docker")
    if not clients:
        raise ImageError("docker is not installed")
    reasons = []
    # Programs start while the SDK is imported, which takes as long as three of them.
    with ThreadPoolExecutor(max_workers=len(clients) + 1) as threads:
        able = [threads.submit(_client, program) for program in clients]
        host = threads.submit(_host, clients[0])
        with suppress(ImportError):
            import docker  # noqa: F401 - `_connect` says what is missing
        sdk = _connect(os.environ.get("DOCKER_HOST") or host.result())
        version = str(_said(sdk.version)["Version"])
        for each in able:
            try:
                return DockerEngine(sdk, version, each.result())
            except ImageError as error:  # noqa: PERF203 - each has a reason of its own
                reasons.append(str(error))
    sdk.close()
    raise ImageError("; ".join(reasons))


def _host(program: str) -> str:
    """Where the context that the user chose says the engine is; the SDK does not look there."""
    try:
        return ask([program, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).strip()
    except ImageError:
        return ""  # a client without contexts: the SDK's default is the same as the client's


def _connect(host: str) -> docker.DockerClient:
    try:
        import docker
    except ImportError:
        raise MissingDependencyError("docker", "docker") from None
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    try:
        return docker.from_env(environment=environment, timeout=int(ASK_LIMIT_S))
    except docker.errors.DockerException as error:
        raise ImageError(f"the docker engine does not answer at {host or 'its socket'}: {error}") from error


def _client(program: str) -> _Client:
    command = [program, "build", "--help"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **BUILDKIT}
    )
    if done.returncode != 0:
        reason = " ".join((done.stderr or done.stdout).split())[:100]
        raise ImageError(f"{program} cannot build with BuildKit: {reason}")
    return _Client(program, "rawjson" in done.stdout, "--load" in done.stdout)


class DockerEngine:
    name = "docker"
    arranged = True
    joins = True

    def __init__(self, sdk: docker.DockerClient, version: str, client: _Client) -> None:
        self.version = version
        self.link = numbers(version) >= LINK_SINCE
        self._sdk = sdk
        self._client = client

    def build(self, request: BuildRequest, on_progress: Progress) -> str:
        steps = Steps(on_progress)
        log = RawJsonLog(steps) if self._client.rawjson else PlainLog(steps)
        with (
            tempfile.TemporaryDirectory(prefix="tiffin-image-") as scratch,
            request.staged(on_progress) as folder,
        ):
            file = Path(scratch) / "id"
            feed = request.context if folder is None else None
            code = follow(self._command(request, file, folder), log, feed=feed, env=BUILDKIT)
            if code != 0:
                raise ImageError(explain("docker", steps, code))
            return file.read_text().strip()

    def _command(self, request: BuildRequest, id_file: Path, folder: Path | None) -> list[str]:
        """With a folder, the engine is sent what it has not; without one, all of it comes on stdin."""
        progress = "rawjson" if self._client.rawjson else "plain"
        command = [self._client.program, "build", "--progress", progress, "--iidfile", str(id_file)]
        command += ["--file", str((folder or Path()) / request.dockerfile_path)]
        command += ["--load"] if self._client.load else []
        return [*command, *build_options(request), str(folder or "-")]

    def inspect(self, image: str) -> ImageFacts:
        with _words(image):
            found = self._sdk.images.get(image).attrs
        config = found["Config"] or {}
        return ImageFacts(
            id=found["Id"],
            size_bytes=found["Size"],
            layers=list(found["RootFS"].get("Layers") or []),
            port=first_port(config.get("ExposedPorts")),
            platform=f"{found['Os']}/{found['Architecture']}",
            labels=dict(config.get("Labels") or {}),
            env=dict(entry.partition("=")[::2] for entry in config.get("Env") or []),
        )

    def push(self, image: str, on_progress: Progress) -> str:
        digest = ""
        layers: dict[str, tuple[int, int]] = {}
        with _words(image), self._patience():
            for event in self._sdk.api.push(image, stream=True, decode=True):
                if "error" in event:
                    raise ImageError(push_failed("docker", image, event["error"]))
                detail = event.get("progressDetail") or {}
                if event.get("id") and detail.get("total"):
                    layers[event["id"]] = (detail["current"], detail["total"])
                    done, total = (sum(sizes) for sizes in zip(*layers.values(), strict=True))
                    on_progress(f"push {image}", min(done, total), total)
                digest = (event.get("aux") or {}).get("Digest", digest)
        return digest

    def join(self, name: str, images: Sequence[str]) -> None:
        """Its store has one image to a name: that of its own platform; the list is made in the registry."""
        with _words(name):
            own = f"{self._sdk.version()['Os']}/{self._sdk.version()['Arch']}"
            for image in images:
                found = self._sdk.images.get(image)
                if f"{found.attrs['Os']}/{found.attrs['Architecture']}" == own:
                    found.tag(name)

    def push_joined(self, name: str, images: Sequence[str], on_progress: Progress) -> str:
        """https://docs.docker.com/reference/cli/docker/manifest/"""
        on_progress(f"push {name}", 0, 0)
        manifest = [self._client.program, "manifest"]
        with suppress(ImageError):  # of a push that was broken off: the client keeps what it was to push
            ask([*manifest, "rm", name])
        plain = ["--insecure"] if self._insecure(name) else []
        try:
            ask([*manifest, "create", *plain, name, *images], limit_s=PUSH_LIMIT_S)
            said = ask([*manifest, "push", "--purge", *plain, name], limit_s=PUSH_LIMIT_S)
        except ImageError as error:
            raise ImageError(push_failed("docker", name, str(error))) from error
        return next((line for line in said.split() if line.startswith("sha256:")), "")

    def _insecure(self, name: str) -> bool:
        """Whether the engine may speak plain HTTP with the registry of a name; its client asks anew."""
        with _words(name):
            known = self._sdk.info()["RegistryConfig"]
        registry, slash, _ = name.partition("/")
        if not slash or not (set(".:") & set(registry) or registry == "localhost"):
            return False  # of Docker Hub
        if registry in known["IndexConfigs"]:
            return not known["IndexConfigs"][registry]["Secure"]
        networks = [ipaddress.ip_network(net) for net in known["InsecureRegistryCIDRs"]]
        return any(address in net for address in _addresses(registry) for net in networks)

    def save(self, image: str, path: Path, on_progress: Progress) -> None:
        total = self.inspect(image).size_bytes
        with _words(image), self._patience(), path.open("wb") as file:
            found = self._sdk.images.get(image)
            named = image if any(name == image for name in found.tags) else False
            for block in found.save(chunk_size=_BLOCK_BYTES, named=named):
                file.write(block)
                on_progress("write the image", min(file.tell(), total), total)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """A registry or a disk may be silent for longer than the engine may with an answer."""
        api = self._sdk.api
        usual_s, api.timeout = api.timeout, int(PUSH_LIMIT_S)
        try:
            yield
        finally:
            api.timeout = usual_s

    def run(self, request: RunRequest) -> DockerContainer:
        from docker.types import DeviceRequest

        options: dict[str, Any] = {"name": request.name} if request.name else {}
        if request.gpus:
            count = -1 if request.gpus == "all" else int(request.gpus)
            options["device_requests"] = [DeviceRequest(count=count, capabilities=[["gpu"]])]
        published: Any = (request.host, request.port or None)  # any free one, which the types do not know of
        ports = {f"{request.container_port}/tcp": published}
        ports |= {f"{inside}/tcp": (request.host, port) for inside, port in request.more_ports.items()}
        with _words(request.image):
            made = self._sdk.containers.create(
                request.image,
                list(request.options),
                ports=ports,
                environment=dict(request.env),
                **options,
            )
            container = DockerContainer(made, request.container_port)
            try:
                made.start()
            except BaseException:  # a port that is taken, no driver for GPUs
                container.remove()
                raise
        return container


class DockerContainer:
    def __init__(self, container: Any, port: int) -> None:
        self.id: str = container.id
        self._container = container
        self._port = port

    def port(self) -> int:
        self._reload()
        published = self._container.ports.get(f"{self._port}/tcp") or []
        return int(published[0]["HostPort"]) if published else 0

    def exit_code(self) -> int | None:
        self._reload()
        state = self._container.attrs["State"]
        return None if state["Status"] in {"created", "running", "restarting"} else int(state["ExitCode"])

    def logs(self) -> Iterator[bytes]:
        return cast(Iterator[bytes], self._container.logs(stream=True, follow=True))

    def stop(self, limit_s: float) -> None:
        self._container.stop(timeout=int(limit_s))

    def remove(self) -> None:
        from docker.errors import NotFound

        with suppress(NotFound):
            self._container.remove(force=True)

    def _reload(self) -> None:
        with _words(""):
            self._container.reload()


def build_options(request: BuildRequest) -> list[str]:
    """The options of `build` that docker, podman, buildah and nerdctl have in common."""
    options = [part for tag in request.tags for part in ("--tag", tag)]
    options += _pairs("--label", request.labels) + _pairs("--build-arg", request.build_args)
    for secret in request.secrets:
        options += ["--secret", f"id={secret.id},{secret.source}"]
    if request.platform:
        options += ["--platform", request.platform]
    if request.network:
        options += ["--network", request.network]
    return [*options, "--no-cache"] if request.no_cache else options


def _pairs(option: str, values: Mapping[str, str]) -> list[str]:
    return [part for key, value in sorted(values.items()) for part in (option, f"{key}={value}")]


def first_port(exposed: Mapping[str, object] | None) -> int:
    """Of `{"3000/tcp": {}}`; 0: none."""
    ports = [int(text.partition("/")[0]) for text in exposed or {} if re.fullmatch(r"\d+(?:/tcp)?", text)]
    return min(ports, default=0)


def _addresses(registry: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Of `localhost:5000`, as the engine looks it up; none when nobody knows it."""
    with suppress(ValueError, OSError):
        host = urlsplit(f"//{registry}").hostname or ""
        found = {str(each[4][0]).partition("%")[0] for each in socket.getaddrinfo(host, None)}
        return [ipaddress.ip_address(each) for each in found]
    return []


def _said(call: Any) -> Any:
    with _words(""):
        return call()


@contextmanager
def _words(image: str) -> Iterator[None]:
    """The SDK's errors as ours."""
    import docker.errors
    import requests.exceptions

    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise NotFoundError(f"docker has no image {image}") from error
    except docker.errors.APIError as error:
        raise ImageError(f"docker: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise ImageError(f"the docker engine does not answer: {error}") from error
