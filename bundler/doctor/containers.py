"""Is there an engine that makes images, and may this user speak to it?"""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .patient import Patient

NAME = "containers"


def check(patient: Patient) -> Iterator[Finding]:
    machine = patient.machine
    if not machine.engines and not machine.docker_socket:
        yield Finding(
            check=NAME,
            severity="note",
            what="neither docker, podman, buildah nor nerdctl is installed: no images can be built here",
            mend="sudo apt-get install podman  # or https://docs.docker.com/engine/install/",
        )
    elif "docker" in machine.engines and machine.docker_socket is False:
        yield Finding(
            check=NAME,
            severity="warning",
            what="docker is installed, and this user may not speak to its daemon",
            where="/var/run/docker.sock",
            mend="sudo usermod -aG docker $USER  # then log in again",
        )
    elif machine.engines == ("docker",) and machine.docker_socket is None:
        yield Finding(
            check=NAME,
            severity="warning",
            what="docker is installed, and its daemon does not run",
            where="/var/run/docker.sock",
            mend="sudo systemctl start docker",
        )
