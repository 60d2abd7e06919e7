"""The Dockerfile of every kind of base, word for word.

`UPDATE_GOLDEN=1 pytest tests/bundler/test_image_golden.py` writes the files anew; read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from dockerfiles import CPU, lint, plan

from tiffin.bundler.image.base import Base
from tiffin.bundler.image.dockerfile import render
from tiffin.bundler.image.own_base import DETECT
from tiffin.bundler.image.plan import ImagePlan, _placed
from tiffin.bundler.python.lockfile import REQUIREMENTS_FILE
from tiffin.runtime.service.image_options import ImageOptions

GOLDEN = Path(__file__).parent / "golden" / "image"
GPU = {
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "TIFFIN_CUDA": "12.8",
}


def based(image: str, kind: str, **fields: object) -> Base:
    plain = {"image": image, "builder": image, "kind": kind, "reason": f"{image} fits."}
    return msgspec.structs.replace(CPU, **{**plain, **fields})


CUDA_BASE = based("nvidia/cuda:12.8.1-base-ubuntu24.04", "cuda", python="uv", cuda="12.8", env=GPU)
OWN = """\
{% extends "Dockerfile.j2" %}
{% block builder_setup %}
{{ super() -}}
{{ install("build-essential") -}}
{% endblock %}
{% block setup %}
RUN echo "built on {{ base.image }} with {{ options.env.LOG_LEVEL }}"
{% endblock %}
"""
PLANS: dict[str, ImagePlan] = {
    "cpu": plan(),
    "cpu-old-engine": plan(link=False),
    "cpu-arranged": _placed(plan()),
    "cpu-old-engine-arranged": _placed(plan(link=False)),
    "cpu-not-locked": plan(requirements=REQUIREMENTS_FILE, locked=False, hashed=False),
    "cpu-git": plan(hashed=False, builder_packages=["git"]),
    "cpu-options": plan(
        options=ImageOptions(system_packages=["libgl1", "curl=8.5.0-2"], env={"LOG_LEVEL": "info"}, user=0)
    ),
    "cuda-base": plan(CUDA_BASE, ImageOptions(cuda="12.8")),
    "cuda-runtime-ubi": plan(
        based("nvidia/cuda:12.8.1-runtime-ubi9", "cuda", python="uv", cuda="12.8", env=GPU, packages="dnf"),
        ImageOptions(cuda="12.8", distro="ubi9", system_packages=["mesa-libGL"]),
    ),
    "rocm": plan(based("rocm/dev-ubuntu-24.04:6.4", "rocm", python="uv"), ImageOptions(accelerator="rocm")),
    "neuron": plan(
        based("public.ecr.aws/neuron/pytorch-inference-neuronx:2.1", "neuron"),
        ImageOptions(accelerator="neuron"),
    ),
    "custom-digest": plan(
        based("registry.example.com:5000/ml/base@sha256:" + "cd" * 32, "custom"),
        ImageOptions(system_packages=["libgl1"]),
    ),
    "custom-alpine": plan(
        based("python:3.11-alpine", "custom", packages="apk"), ImageOptions(system_packages=["libstdc++"])
    ),
    "custom-microdnf": plan(
        based("registry.access.redhat.com/ubi9/ubi-minimal:9.6", "custom", python="uv", packages="microdnf"),
        ImageOptions(system_packages=["libgomp"]),
    ),
    "custom-unknown": plan(
        based("ghcr.io/me/mine:1", "custom", python="uv", packages=DETECT),
        ImageOptions(system_packages=["libgomp1"]),
    ),
    "own-template": plan(options=ImageOptions(env={"LOG_LEVEL": "info"}), template=OWN),
}


@pytest.mark.parametrize("name", PLANS)
def test_word_for_word(name: str) -> None:
    text = render(PLANS[name])
    lint(text)
    path = GOLDEN / f"{name}.Dockerfile"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.Dockerfile")} == set(PLANS)


def test_every_kind_is_there() -> None:
    assert {each.base.kind for each in PLANS.values()} == {"cpu", "cuda", "rocm", "neuron", "custom"}
    assert {each.base.packages for each in PLANS.values()} == {"apt", "dnf", "microdnf", "apk", DETECT}
    assert {each.base.python for each in PLANS.values()} == {"image", "uv"}
