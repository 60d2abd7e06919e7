"""The image that a bundle's image is built from."""

from __future__ import annotations

import msgspec


class Base(msgspec.Struct, kw_only=True, frozen=True):
    """What `resolve_base` found."""

    image: str
    """`FROM` of the final stage: `python:3.11-slim`, `nvidia/cuda:12.8.2-base-ubuntu24.04`, any at all."""
    builder: str
    """`FROM` of the stage where dependencies are installed; its libc is no newer than the final one's, so
    that what is chosen there loads here."""
    python: str
    """`image`: it has the right Python on its PATH; `uv`: uv installs a managed one, which is copied."""
    python_version: str
    """`3.11`"""
    kind: str
    """`cpu`, `cuda`, `rocm`, `neuron`, `custom`."""
    cuda: str = ""
    """Release of the toolkit, from the wheels or the image: `12.8`; empty: none, or not known."""
    driver: str = ""
    """Oldest Linux driver that runs it: `525.60.13`; empty: none is asked for, or not known."""
    packages: str = "apt"
    """What installs system packages: `apt`, `dnf`, `microdnf`, `apk`; `detect`: the name of an own image does
    not tell, and the Dockerfile asks when it is built."""
    env: dict[str, str] = {}
    """For the final stage; `TIFFIN_CUDA` and `TIFFIN_CUDA_DRIVER` are what `runtime/cuda_check.py` reads."""
    platforms: list[str] = []
    """What the image exists for: `linux/amd64`, `linux/arm64`; empty: not known."""
    run_options: list[str] = []
    """What `docker run` needs besides a port: `--gpus`, `all`."""
    reason: str
    """One sentence that a user reads; a comment in the Dockerfile."""
    advice: str = ""
    """What would make it smaller or last longer, for the terminal; empty: nothing."""
