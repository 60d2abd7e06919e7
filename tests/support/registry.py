"""A registry of images: Debian's `docker-registry`, on this machine's loopback."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_CONFIG = """\
version: 0.1
log: {{formatter: json}}
storage: {{filesystem: {{rootdirectory: {storage}}}}}
http: {{addr: "127.0.0.1:0"}}
"""
# Docker takes all of 127.0.0.0/8 without TLS; podman and buildah must be told.
_PLAIN_HTTP = '[[registry]]\nlocation = "{address}"\ninsecure = true\n'


class Registry(NamedTuple):
    address: str
    """`127.0.0.1:41234`"""
    storage: Path
    conf: Path
    """For `CONTAINERS_REGISTRIES_CONF`."""

    def manifest(self, repository: str, reference: str, kind: str = MANIFEST) -> httpx.Response:
        url = f"http://{self.address}/v2/{repository}/manifests/{reference}"
        return httpx.get(url, headers={"accept": kind}, timeout=30).raise_for_status()

    def size(self) -> int:
        """Of what was uploaded, in bytes."""
        return sum(file.stat().st_size for file in self.storage.rglob("*") if file.is_file())


@contextmanager
def running_registry(folder: Path) -> Iterator[Registry]:
    """An empty one; skips the test where the program is not installed."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    storage = folder / "registry"
    config = folder / "registry.yml"
    config.write_text(_CONFIG.format(storage=storage))
    log = folder / "registry.log"  # a pipe that nobody reads on would hold the registry up
    with log.open("wb") as writing:
        process = subprocess.Popen([program, "serve", str(config)], stdout=writing, stderr=writing)
    try:
        address = _listens(process, log)
        conf = folder / "registries.conf"
        conf.write_text(_PLAIN_HTTP.format(address=address))
        yield Registry(address, storage, conf)
    finally:
        process.terminate()
        process.wait()


def _listens(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where, from its log."""
    while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text())):
        if process.poll() is not None:
            pytest.fail(f"docker-registry ended: {log.read_text()}")
        time.sleep(0.02)  # the test's own time-out ends it
    return found[1]
