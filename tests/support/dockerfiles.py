"""A reader of Dockerfiles that is as strict as an engine, and plans to write some from."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import msgspec

from tiffin.bundler.image.base import Base
from tiffin.bundler.image.layers import early_layers, late_layers, model_layers
from tiffin.bundler.image.plan import BUNDLE_ROOT, ImagePlan
from tiffin.bundler.python.lockfile import LOCK_FILE
from tiffin.runtime.manifest import BundleInfo, FileEntry, ServiceSpec
from tiffin.runtime.service.image_options import ImageOptions

INSTRUCTIONS = frozenset({"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM"})
INSTRUCTIONS |= {"HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER", "WORKDIR"}
_PAIR = re.compile(r'([A-Za-z0-9_.]+)=("(?:[^"\\$]|\\["\\$]|\$\{PATH:-[^}"]*\})*"|[A-Za-z0-9_./-]+)(?:\s+|$)')
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s+")
CPU = Base(
    image="python:3.11-slim",
    builder="python:3.11-slim",
    python="image",
    python_version="3.11",
    kind="cpu",
    reason="No runner asks for a GPU.",
)
DIGEST = "ab" * 32


class Instruction(NamedTuple):
    name: str
    flags: list[tuple[str, str]]
    rest: str


def parse(text: str) -> list[Instruction]:
    """Instructions of a Dockerfile.

    Raises:
        ValueError: what an engine would refuse or warn of.
    """
    logical, parts = [], []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue  # within an instruction too
        if parts and not line.strip():
            raise ValueError(f"an empty line goes on {parts[0]!r}")
        if not parts and not line.strip():
            continue
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            logical.append(" ".join(parts))
            parts = []
    if parts:
        raise ValueError(f"{parts[0]!r} has no end")
    return [_instruction(line) for line in logical]


def _instruction(line: str) -> Instruction:
    name, _, rest = line.partition(" ")
    if name not in INSTRUCTIONS:
        raise ValueError(f"{name!r} is no instruction: {line[:80]!r}")
    rest = rest.strip() + " "
    flags = []
    while found := _FLAG.match(rest):
        flags.append((found[1], found[2] or ""))
        rest = rest[found.end() :]
    if not rest.strip():
        raise ValueError(f"{name} says nothing")
    return Instruction(name, flags, rest.strip())


def pairs(instruction: Instruction) -> dict[str, str]:
    """Names and values of ENV or LABEL, as an engine would set them."""
    found, at = {}, 0
    while at < len(instruction.rest):
        match = _PAIR.match(instruction.rest, at)
        if match is None:
            raise ValueError(f"{instruction.name} has words that are no pairs: {instruction.rest[at:]!r}")
        value = match[2]
        found[match[1]] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        at = match.end()
    return found


def lint(text: str) -> list[Instruction]:
    """Parses, and checks what only makes sense as a whole."""
    instructions = parse(text)
    stages: list[str] = []
    for name, flags, rest in instructions:
        if not stages and name not in {"ARG", "FROM"}:
            raise ValueError(f"{name} before FROM")
        if name == "FROM":
            words = rest.split()
            if len(words) not in {1, 3} or (len(words) == 3 and words[1] != "AS"):
                raise ValueError(f"FROM {rest}")
            stages.append(words[-1] if len(words) == 3 else "")
        elif name == "COPY":
            source = dict(flags).get("from", "")
            if source and source not in stages and ":" not in source:
                raise ValueError(f"COPY from {source!r}, which is no stage")
            if len(rest.split()) < 2:
                raise ValueError(f"COPY {rest}")
        elif name in {"ENTRYPOINT", "CMD"}:
            json.loads(rest)
        elif name == "HEALTHCHECK":
            json.loads(rest.removeprefix("CMD "))
        elif name in {"ENV", "LABEL"}:
            pairs(Instruction(name, flags, rest))
    return instructions


def bundle_info(**fields: Any) -> BundleInfo:
    """A bundle with a large and a small model."""
    paths = {
        "README.md": 1_000,
        "apis/openapi.json": 9_000,
        "env/python/requirements.in": 400,
        LOCK_FILE: 80_000,
        "env/python/wheels/tiffin-0.1.0-py3-none-any.whl": 1_700_000,
        "models/iris/1/model.yaml": 1_500,
        "models/iris/1/model.pkl": 800,
        "models/words/2/model.yaml": 1_500,
        "models/words/2/weights.safetensors": 1_340_000_000,
        "sbom.cdx.json": 150_000,
        "src/service.py": 900,
    }
    plain: dict[str, Any] = {
        "name": "iris",
        "version": "v1",
        "created": "2026-01-01T00:00:00+00:00",
        "digest": f"sha256:{DIGEST}",
        "service": ServiceSpec(name="iris", cls="service:Iris", doc="Names an iris."),
        "models": ["iris:1", "words:2"],
        "files": [FileEntry(path=path, size_bytes=size, sha256=DIGEST) for path, size in paths.items()],
        "python": "3.11",
        "platform": "linux-x86_64",
    }
    return BundleInfo(**{**plain, **fields})


def plan(base: Base = CPU, options: ImageOptions | None = None, **changes: Any) -> ImagePlan:
    """What `plan_of` makes of `bundle_info`, on any base."""
    info = bundle_info()
    plain = ImagePlan(
        service=info.service.name,
        base=base,
        options=options or ImageOptions(),
        requirements=LOCK_FILE,
        locked=True,
        hashed=True,
        builder_packages=[],
        wheel="env/python/wheels/tiffin-0.1.0-py3-none-any.whl",
        wheel_sha256=DIGEST,
        tiffin="0.1.0",
        early=early_layers(info, BUNDLE_ROOT),
        models=model_layers(info, BUNDLE_ROOT),
        late=late_layers(info, BUNDLE_ROOT),
        link=True,
        template="",
        labels={},
        build_args={},
        warnings=[],
    )
    return msgspec.structs.replace(plain, **changes)
