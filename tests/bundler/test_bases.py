"""From a lock and key `image:` to the base, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.bundler.image.base import Base
from tiffin.bundler.image.bases import resolve_base
from tiffin.bundler.image.cuda_table import images, read_wheels
from tiffin.bundler.image.cuda_tags import every_tag
from tiffin.bundler.image.own_base import installer
from tiffin.errors import ConfigError
from tiffin.runtime.service.image_options import ImageOptions

DIGEST = "@sha256:" + "a" * 64
SITE = "/opt/venv/lib/python3.11/site-packages/nvidia"
TORCH = {
    "torch": "2.6.0",
    "nvidia-cuda-runtime-cu12": "12.4.127",
    "nvidia-cudnn-cu12": "9.1.0.70",
    "nvidia-cublas-cu12": "12.4.5.8",
    "nvidia-nvtx-cu12": "12.4.127",
}
TORCH_13 = {
    "torch": "2.15.0",
    "cuda-toolkit": "13.2.2",
    "nvidia-cuda-runtime": "13.2.86",
    "nvidia-cublas": "13.4.1.3",
    "nvidia-cudnn-cu13": "9.26.0.51",
}


def base(
    packages: dict[str, str] | None = None,
    *,
    gpus: float = 0,
    platform: str = "linux/amd64",
    python: str = "3.11",
    **options: Any,
) -> Base:
    return resolve_base(
        ImageOptions(**options), python=python, packages=packages or {}, platform=platform, gpus=gpus
    )


def refused(*args: Any, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        base(*args, **options)
    return str(caught.value)


# Without GPUs


@pytest.mark.parametrize(
    "packages",
    [{}, {"scikit-learn": "1.7.0"}, {"xgboost": "3.0.0", "nvidia-nccl-cu12": "2.27.0"}, {"torch": ""}],
)
def test_a_service_without_gpus_gets_python_and_nothing_else(packages: dict[str, str]) -> None:
    found = base(packages)
    assert (found.image, found.builder) == ("python:3.11-slim", "python:3.11-slim")
    assert (found.kind, found.python, found.packages) == ("cpu", "image", "apt")
    assert (found.cuda, found.driver, found.env, found.run_options) == ("", "", {}, [])
    assert found.platforms == ["linux/amd64", "linux/arm64"]


def test_cuda_that_nobody_asked_for_is_not_added_to_and_how_to_leave_it_out_is_told() -> None:
    found = base(TORCH)
    assert (found.image, found.kind, found.env) == ("python:3.11-slim", "cpu", {})
    assert "no runner asks for a GPU" in found.reason
    assert "torch 2.6.0 brings CUDA 12.4" in found.advice
    assert "torch==2.6.0+cpu" in found.advice
    assert base({"torch": "2.6.0+cpu"}).advice == ""


@pytest.mark.parametrize(
    ("distro", "image", "python", "packages"),
    [
        ("bookworm", "python:3.12-slim-bookworm", "image", "apt"),
        ("ubuntu24.04", "ubuntu:24.04", "uv", "apt"),
        ("ubi9", "registry.access.redhat.com/ubi9/ubi", "uv", "dnf"),
    ],
)
def test_a_distribution_by_name(distro: str, image: str, python: str, packages: str) -> None:
    found = base(distro=distro, python="3.12")
    assert (found.image, found.python, found.packages) == (image, python, packages)


def test_a_distribution_that_is_not_offered() -> None:
    assert "there is: bookworm, trixie, ubi8" in refused(distro="slackware15")


# With GPUs


def test_wheels_that_bring_cuda_get_the_small_image_of_their_release() -> None:
    found = base(TORCH, gpus=1)
    assert found.image == found.builder == "nvidia/cuda:12.4.1-base-ubuntu22.04"
    assert (found.kind, found.python, found.cuda, found.driver) == ("cuda", "uv", "12.4", "525.60.13")
    assert "torch 2.6.0 brings CUDA 12.4 itself" in found.reason
    assert found.run_options == ["--gpus", "all"]


def test_a_share_of_a_gpu_is_one() -> None:
    assert base(TORCH, gpus=0.5).kind == "cuda"


def test_variables_of_the_container() -> None:
    assert base(TORCH, gpus=1).env == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": "driver>=525",
        "TIFFIN_CUDA": "12.4",
        "TIFFIN_CUDA_DRIVER": "525.60.13",
        "TIFFIN_CUDA_OWN_DRIVER": "550.54.14",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:"
        f"{SITE}/cublas/lib:{SITE}/cuda_runtime/lib:{SITE}/cudnn/lib",
    }


def test_cuda_13_keeps_its_libraries_in_one_folder() -> None:
    found = base(TORCH_13, gpus=1)
    assert found.image == "nvidia/cuda:13.2.1-base-ubuntu24.04"
    assert found.env["LD_LIBRARY_PATH"].endswith(f":{SITE}/cu13/lib:{SITE}/cudnn/lib")
    assert found.env["NVIDIA_REQUIRE_CUDA"].startswith("driver>=580 brand=tesla,driver>=535,driver<536 ")


def test_wheels_that_are_newer_than_every_image_get_the_newest_of_their_family() -> None:
    found = base({"faiss-gpu-cu13": "2.0", "nvidia-cuda-runtime": "13.9.1"}, gpus=1)
    assert found.image == "nvidia/cuda:13.3.1-base-ubuntu24.04"
    assert (found.cuda, found.driver) == ("13.9", "580.65.06")


def test_a_version_that_no_lock_explains_is_looked_up() -> None:
    """Without a lock only the pins of requirements.in are known."""
    assert base({"torch": "2.8.0"}, gpus=1).image == "nvidia/cuda:12.8.2-base-ubuntu24.04"


def test_builds_of_pytorchs_own_index() -> None:
    found = base({"torch": "2.6.0+cu118"}, gpus=1)
    assert (found.image, found.driver) == ("nvidia/cuda:11.8.0-base-ubuntu22.04", "450.80.02")


def test_linked_cuda_needs_a_driver_only() -> None:
    found = base({"xgboost": "3.0.0"}, gpus=1)
    assert found.image == "nvidia/cuda:12.9.2-base-ubuntu24.04"
    assert (found.cuda, found.driver) == ("12", "525.60.13")
    assert "TIFFIN_CUDA_OWN_DRIVER" not in found.env
    assert "LD_LIBRARY_PATH" not in found.env
    assert "linked in" in found.reason


@pytest.mark.parametrize(
    ("packages", "image"),
    [
        ({"onnxruntime-gpu": "1.18.1"}, "11.8.0-cudnn8-runtime-ubuntu22.04"),
        ({"onnxruntime-gpu": "1.20.0"}, "12.9.2-cudnn-runtime-ubuntu24.04"),
        ({"tensorflow": "2.18.0"}, "12.9.2-cudnn-runtime-ubuntu24.04"),
        ({"tensorflow": "2.15.1"}, "12.2.2-cudnn8-runtime-ubuntu22.04"),
        ({"jaxlib": "0.4.20+cuda12.cudnn89"}, "12.2.2-cudnn8-runtime-ubuntu22.04"),
        ({"cupy-cuda12x": "12.3.0"}, "12.9.2-runtime-ubuntu24.04"),
        ({"ctranslate2": "4.5.0"}, "12.9.2-cudnn-runtime-ubuntu24.04"),
        ({"onnxruntime-gpu": "1.23.0"}, "12.9.2-cudnn-runtime-ubuntu24.04"),
        ({"onnxruntime-gpu": "1.27.0"}, "13.3.1-cudnn-runtime-ubuntu24.04"),
        ({"jax-cuda12-plugin": "0.6.0"}, "12.9.2-cudnn-runtime-ubuntu24.04"),
    ],
)
def test_wheels_that_load_cuda_of_the_system_get_it(packages: dict[str, str], image: str) -> None:
    found = base(packages, gpus=1)
    assert found.image == f"nvidia/cuda:{image}"
    assert "of the image" in found.reason
    assert "LD_LIBRARY_PATH" not in found.env


def test_what_one_package_brings_another_may_load() -> None:
    found = base({**TORCH, "onnxruntime-gpu": "1.20.0"}, gpus=1)
    assert found.image == "nvidia/cuda:12.4.1-base-ubuntu22.04"
    assert f"{SITE}/cudnn/lib" in found.env["LD_LIBRARY_PATH"]


def test_what_one_package_brings_does_not_serve_another_of_an_older_family() -> None:
    found = base({**TORCH, "onnxruntime-gpu": "1.18.0"}, gpus=1)
    assert found.image == "nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04"
    assert (found.cuda, found.driver) == ("12.4", "525.60.13")


def test_another_cudnn_than_the_wheels_bring_comes_with_the_image() -> None:
    found = base({"torch": "2.3.0", "onnxruntime-gpu": "1.20.0"}, gpus=1)  # cuDNN 8 and 9
    assert found.image == "nvidia/cuda:12.9.2-cudnn-runtime-ubuntu24.04"
    assert "LD_LIBRARY_PATH" not in found.env


def test_an_extra_that_is_locked_brings_the_libraries() -> None:
    packages = {
        "tensorflow": "2.18.0",
        "nvidia-cuda-runtime-cu12": "12.5.82",
        "nvidia-cudnn-cu12": "9.3.0.75",
    }
    found = base(packages, gpus=1)
    assert found.image == "nvidia/cuda:12.5.1-base-ubuntu24.04"
    assert "tensorflow 2.18.0 brings CUDA 12.5" in found.reason


def test_an_extra_that_would_make_the_image_smaller_is_named() -> None:
    assert "tensorflow[and-cuda]" in base({"tensorflow": "2.18.0"}, gpus=1).advice


def test_an_extra_helps_where_no_image_does() -> None:
    text = refused({"tensorflow": "2.17.0"}, gpus=1)
    assert "no image nvidia/cuda with CUDA 12.3 with cuDNN 8" in text
    assert "require tensorflow[and-cuda]" in text


def test_two_packages_that_load_different_releases() -> None:
    text = refused({"onnxruntime-gpu": "1.18.0", "cupy-cuda12x": "12.0.0"}, gpus=1)
    assert (
        "cupy-cuda12x 12.0.0 loads CUDA 12 of the image and onnxruntime-gpu 1.18.0 CUDA 11.8 with cuDNN 8"
        in text
    )


@pytest.mark.parametrize(
    ("other", "image"),
    [
        ({"ctranslate2": "4.4.0"}, "12.2.2-cudnn8-runtime-ubuntu22.04"),
        ({"onnxruntime-gpu": "1.20.0"}, "12.9.2-cudnn-runtime-ubuntu24.04"),
    ],
)
def test_two_packages_that_agree_get_what_both_need(other: dict[str, str], image: str) -> None:
    assert base({"cupy-cuda12x": "12.0.0", **other}, gpus=1).image == f"nvidia/cuda:{image}"


def test_gpus_for_what_no_table_knows_get_the_driver_only() -> None:
    found = base({"numba-cuda": "0.20.0"}, gpus=1)
    assert (found.image, found.kind, found.run_options) == ("python:3.11-slim", "cpu", ["--gpus", "all"])
    assert found.env == {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}


@pytest.mark.parametrize("distro", ["ubi8", "ubi9"])
def test_a_distribution_with_cuda(distro: str) -> None:
    found = base(TORCH, gpus=1, distro=distro)
    assert (found.image, found.packages) == (f"nvidia/cuda:12.4.1-base-{distro}", "dnf")


# What somebody says outright


def test_cuda_none() -> None:
    found = base(TORCH, cuda="none")
    assert (found.image, found.reason) == ("python:3.11-slim", "python:3.11-slim: image.cuda is none")
    assert "remove one of the two" in refused(TORCH, cuda="none", gpus=1)


@pytest.mark.parametrize(
    ("cuda", "image"),
    [
        ("12.8", "12.8.2-base-ubuntu24.04"),
        ("12.8.1", "12.8.1-base-ubuntu24.04"),
        ("12.1", "12.1.1-base-ubuntu22.04"),
        ("13.0", "13.0.3-base-ubuntu24.04"),
    ],
)
def test_a_release_that_the_wheels_can_live_with(cuda: str, image: str) -> None:
    found = base(TORCH, cuda=cuda, gpus=1)
    assert found.image == f"nvidia/cuda:{image}"
    assert found.cuda == "12.4"  # what runs is what the wheels bring


def test_a_release_that_is_not_mended_is_taken_and_told() -> None:
    found = base(TORCH, cuda="12.8.1", gpus=1)
    assert "no longer mends" in found.reason
    assert found.advice
    assert base(TORCH, cuda="12.8", gpus=1).advice == ""


def test_a_release_without_packages_brings_the_libraries() -> None:
    found = base(cuda="12.8")
    assert (found.image, found.cuda) == ("nvidia/cuda:12.8.2-runtime-ubuntu24.04", "12.8")
    assert found.run_options == ["--gpus", "all"]


def test_an_older_family_than_the_wheels_is_refused_with_two_ways_out() -> None:
    text = refused(TORCH, cuda="11.8", gpus=1)
    assert "torch 2.6.0 brings CUDA 12.4, which a driver for CUDA 11 cannot run" in text
    assert "say cuda: 12.4" in text
    assert "lock torch 2.0.1, the newest on PyPI for CUDA 11" in text


def test_another_release_than_a_package_loads_is_refused() -> None:
    assert "say cuda: 12.5" in refused({"tensorflow": "2.18.0"}, cuda="12.4", gpus=1)
    assert "say cuda: auto" in refused({"onnxruntime-gpu": "1.20.0"}, cuda="13.0", gpus=1)
    assert base({"tensorflow": "2.18.0"}, cuda="12.9", gpus=1).image.startswith("nvidia/cuda:12.9.2-cudnn-")


@pytest.mark.parametrize(
    ("cuda", "nearest"),
    [("12.7", "12.6, 12.8"), ("12.8.9", "12.8.0, 12.8.1, 12.8.2"), ("99.0", "13.3"), ("1.0", "11.0")],
)
def test_a_release_that_has_no_image(cuda: str, nearest: str) -> None:
    assert refused(TORCH_13 if cuda == "99.0" else {}, cuda=cuda, gpus=1).endswith(f"the nearest: {nearest}")


def test_a_release_that_a_distribution_does_not_have() -> None:
    assert "on ubuntu20.04; there is: ubi8, ubi9, ubuntu22.04, ubuntu24.04" in refused(
        cuda="13.0", distro="ubuntu20.04"
    )


def test_cudnn_that_the_newest_update_does_not_have() -> None:
    found = base({"onnxruntime-gpu": "1.20.0"}, cuda="12.8", gpus=1)
    assert found.image == "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04"
    assert "no longer mends" in found.reason


# Builds for the CPU


@pytest.mark.parametrize(
    ("packages", "way"),
    [
        ({"torch": "2.6.0+cpu"}, "require torch==2.6.0 from PyPI"),
        ({"onnxruntime": "1.20.0"}, "require onnxruntime-gpu"),
        ({"jaxlib": "0.6.0", "jax": "0.6.0"}, "require jax[cuda12]"),
    ],
)
def test_gpus_for_a_build_without_them(packages: dict[str, str], way: str) -> None:
    text = refused(packages, gpus=1)
    assert "for CPUs only" in text
    assert way in text


def test_a_build_for_cpus_next_to_one_that_uses_gpus() -> None:
    assert base({"onnxruntime": "1.20.0", **TORCH}, gpus=1).kind == "cuda"


def test_a_build_for_cpus_next_to_one_that_loads_what_is_asked_for() -> None:
    assert base({"torch": "2.6.0+cpu", "cupy-cuda12x": "12.0.0"}, cuda="12.8").kind == "cuda"


# Other machines


def test_the_target_counts_and_not_the_lock_or_this_machine() -> None:
    assert base(TORCH, platform="linux/arm64").image == "python:3.11-slim"
    text = refused(TORCH, gpus=1, platform="linux/arm64")
    assert "torch 2.6.0 for linux/arm64 is built for CPUs only" in text
    assert "the next with a GPU there is torch 2.11.0" in text


def test_cuda_on_arm() -> None:
    found = base(TORCH_13, gpus=1, platform="linux/arm64")
    assert found.image == "nvidia/cuda:13.2.1-base-ubuntu24.04"
    assert "linux/arm64" in found.platforms


def test_cuda_on_arm_without_wheels_is_refused_with_the_machine_that_has_them() -> None:
    assert "--platform linux/amd64" in refused({"xgboost": "3.0.0"}, gpus=1, platform="linux/arm64")
    assert "--platform linux/amd64" in refused({"ctranslate2": "4.5.0"}, gpus=1, platform="linux/arm64")
    assert "or remove image.cuda" in refused({"torch": "2.6.0"}, cuda="12.8", platform="linux/arm64")


def test_images_of_old_releases_are_not_for_arm() -> None:
    text = refused(cuda="11.6", platform="linux/arm64")
    assert "CUDA 11.6 for linux/arm64; there is: 11.8, 12.0" in text


@pytest.mark.parametrize("platform", ["linux/ppc64le", "windows/amd64", "arm64", ""])
def test_platforms_that_are_not_offered(platform: str) -> None:
    assert "linux/amd64 and linux/arm64" in refused(platform=platform)


def test_a_variant_of_arm64_is_arm64() -> None:
    assert base(platform="linux/arm64/v8").image == "python:3.11-slim"


@pytest.mark.parametrize("python", ["3.9", "2.7", "3.99", "3.11.7"])
def test_a_python_that_is_not_offered(python: str) -> None:
    assert "there is 3.10 to 3.14" in refused(python=python)


# AMD and AWS


def test_rocm_by_the_lock() -> None:
    found = base({"torch": "2.6.0+rocm6.2.4"}, accelerator="rocm", gpus=1)
    assert found.image == "rocm/dev-ubuntu-24.04:6.2.4"
    assert (found.kind, found.python, found.packages, found.env) == ("rocm", "uv", "apt", {})
    assert found.run_options[:4] == ["--device", "/dev/kfd", "--device", "/dev/dri"]


def test_rocm_without_a_release_gets_the_newest() -> None:
    assert base(accelerator="rocm").image == "rocm/dev-ubuntu-24.04:7.2.4"
    assert base(accelerator="rocm", distro="ubuntu22.04").image == "rocm/dev-ubuntu-22.04:6.4.1"


def test_rocm_that_nobody_uses() -> None:
    assert "no runner asks for a GPU" in base(accelerator="rocm").advice
    assert base(accelerator="rocm", gpus=1).advice == ""


def test_rocm_that_cannot_be() -> None:
    assert "is built for CUDA 12.4" in refused(TORCH, accelerator="rocm")
    assert "there is: 6.0, 6.1, 6.2" in refused({"torch": "2.1.0+rocm5.6"}, accelerator="rocm")
    assert "for linux/arm64; there is: linux/amd64" in refused(accelerator="rocm", platform="linux/arm64")
    assert "say image.accelerator: rocm" in refused({"torch": "2.6.0+rocm6.2.4"}, gpus=1)


def test_neuron() -> None:
    found = base({"torch-neuronx": "2.9.0.2.11"}, accelerator="neuron")
    assert found.image.startswith("public.ecr.aws/neuron/pytorch-inference-neuronx:2.9.0-neuronx-")
    assert found.run_options == ["--device", "/dev/neuron0"]
    assert "--extra-index-url https://pip.repos.neuron" in refused(accelerator="neuron")
    assert "there is: 1.13, 2.1, 2.6, 2.9" in refused({"torch-neuronx": "2.5.1"}, accelerator="neuron")


# An image of one's own


@pytest.mark.parametrize(
    ("image", "python", "packages"),
    [
        ("python:3.11-slim-bookworm", "image", "apt"),
        ("docker.io/library/python:3.11.9" + DIGEST, "image", "apt"),
        ("python:3.12-slim", "uv", "apt"),
        ("python:3.11-alpine", "image", "apk"),
        ("cgr.dev/chainguard/wolfi-base", "uv", "apk"),
        ("registry.access.redhat.com/ubi9/ubi-minimal:9.5", "uv", "microdnf"),
        ("registry.access.redhat.com/ubi9/ubi:9.5", "uv", "dnf"),
        ("rockylinux:9", "uv", "dnf"),
        ("debian:12", "uv", "apt"),
        ("nvidia/cuda:12.4.1-runtime-ubuntu22.04", "uv", "apt"),
        ("ghcr.io/me/thing:1", "uv", "detect"),
        ("ghcr.io/me/thing" + DIGEST, "uv", "detect"),
        ("me/ubuntu-thing" + DIGEST, "uv", "apt"),
    ],
)
def test_an_image_of_ones_own_is_taken_as_it_is(image: str, python: str, packages: str) -> None:
    found = base(base=image)
    assert found.image == found.builder == image
    assert (found.kind, found.python, found.packages) == ("custom", python, packages)
    assert (found.platforms, found.env, found.run_options) == ([], {}, [])


def test_gpus_in_an_image_of_ones_own() -> None:
    found = base(TORCH, base="ghcr.io/me/thing:1", gpus=1)
    assert (found.cuda, found.driver) == ("12.4", "525.60.13")
    assert found.env["TIFFIN_CUDA"] == "12.4"
    assert found.run_options == ["--gpus", "all"]
    assert "TIFFIN_CUDA" not in base({"scikit-learn": "1.7.0"}, base="ghcr.io/me/thing:1", gpus=1).env


def test_a_digest_does_not_hide_as_a_distribution() -> None:
    assert installer("ghcr.io/me/notalpineish") == "detect"
    assert installer("ghcr.io/me/app:1-alpine3.20") == "apk"


# All of it

KNOWN = [*read_wheels()]
PLAIN = {row.image for row in images().python} | {row.image for row in images().accelerators}


@given(
    rows=st.lists(st.sampled_from(KNOWN), max_size=3),
    cuda=st.sampled_from(["", "auto", "none", "11.8", "12.4", "12.8", "12.8.1", "13.0", "12.7"]),
    distro=st.sampled_from(["", "", "ubuntu20.04", "ubuntu22.04", "ubuntu24.04", "ubi8", "ubi9"]),
    platform=st.sampled_from(["linux/amd64", "linux/arm64"]),
    gpus=st.sampled_from([0, 0.5, 1, 4]),
)
def test_every_answer_is_in_the_table_or_says_why_not(
    rows: list[Any], cuda: str, distro: str, platform: str, gpus: float
) -> None:
    packages = {row.package: row.version for row in rows}
    try:
        found = base(packages, cuda=cuda, distro=distro, platform=platform, gpus=gpus)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    if found.kind == "cuda":
        assert found.image in every_tag()
        assert platform in found.platforms
        assert found.driver
        assert found.env["NVIDIA_VISIBLE_DEVICES"] == "all"
    else:
        assert found.kind == "cpu"
        assert found.image in PLAIN or distro
    assert found.reason.startswith(f"{found.image}: ")
    assert "\n" not in found.reason + found.advice
