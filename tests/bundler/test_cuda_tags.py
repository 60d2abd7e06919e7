"""Which of the tags of a release: flavor, cuDNN, distribution, machine."""

from __future__ import annotations

from typing import Any

import pytest

from tiffin.bundler.image.cuda_tags import CUDNN_RUNTIME, RUNTIME, Ask, choose, every_tag
from tiffin.errors import ConfigError


def tag(cuda: str, **ask: Any) -> str:
    found = choose(Ask(cuda=cuda, **ask))
    assert found.image in every_tag()
    return found.image.partition(":")[2]


@pytest.mark.parametrize(
    ("cuda", "found"),
    [
        ("12.8", "12.8.2-base-ubuntu24.04"),
        ("12.5", "12.5.1-base-ubuntu24.04"),
        ("12.4", "12.4.1-base-ubuntu22.04"),
        ("12.7", "12.8.2-base-ubuntu24.04"),  # that release does not exist: the next
        ("12", "12.9.2-base-ubuntu24.04"),
        ("13.9", "13.3.1-base-ubuntu24.04"),
        ("11.3", "11.4.3-base-ubuntu20.04"),
    ],
)
def test_the_nearest_that_is_new_enough(cuda: str, found: str) -> None:
    assert tag(cuda) == found


@pytest.mark.parametrize(
    ("cuda", "cudnn", "found"),
    [
        ("12.8", 9, "12.9.2-cudnn-runtime-ubuntu24.04"),  # 12.8.1 has it, and is no longer mended
        ("12.3", 9, "12.3.2-cudnn9-runtime-ubuntu22.04"),
        ("12.0", 9, "12.3.2-cudnn9-runtime-ubuntu22.04"),
        ("12.1", 8, "12.1.1-cudnn8-runtime-ubuntu22.04"),
        ("11", 8, "11.8.0-cudnn8-runtime-ubuntu22.04"),
    ],
)
def test_cudnn_of_one_major_version(cuda: str, cudnn: int, found: str) -> None:
    assert tag(cuda, flavor=CUDNN_RUNTIME, cudnn=cudnn) == found


@pytest.mark.parametrize(
    ("cuda", "found"),
    [
        ("12.8", "12.8.2-runtime-ubuntu24.04"),
        ("12.8.0", "12.8.0-runtime-ubuntu24.04"),
        ("11.3", "11.3.1-runtime-ubuntu20.04"),
    ],
)
def test_a_release_that_somebody_named(cuda: str, found: str) -> None:
    assert tag(cuda, exact=True, flavor=RUNTIME) == found


def test_the_newest_of_those_that_will_do() -> None:
    assert tag("12.3", newest=True, flavor=CUDNN_RUNTIME, cudnn=9) == "12.9.2-cudnn-runtime-ubuntu24.04"
    assert tag("12.1", newest=True, flavor=CUDNN_RUNTIME, cudnn=8) == "12.2.2-cudnn8-runtime-ubuntu22.04"


def test_a_distribution_and_a_machine() -> None:
    found = choose(Ask(cuda="12.6", distro="ubi8", arch="arm64"))
    assert found.image == "nvidia/cuda:12.6.3-base-ubi8"
    assert (found.distro, found.release, found.supported) == ("ubi8", "12.6.3", True)
    assert found.platforms == ["linux/amd64", "linux/arm64"]


def test_the_newest_distribution_is_not_taken_unasked() -> None:
    """Ubuntu 26.04 has images of one release only."""
    assert tag("13.3") == "13.3.1-base-ubuntu24.04"
    assert tag("13.3", distro="ubuntu26.04") == "13.3.1-base-ubuntu26.04"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            Ask(cuda="12.7", exact=True),
            "there is no image nvidia/cuda with CUDA 12.7; the nearest: 12.6, 12.8",
        ),
        (Ask(cuda="14.2"), "no image nvidia/cuda has CUDA 14.2 or newer; the nearest: 13.3"),
        (Ask(cuda="13.9", flavor=RUNTIME), "no image nvidia/cuda has CUDA 13.9 or newer; the nearest: 13.3"),
        (
            Ask(cuda="12.6", distro="bookworm"),
            "with CUDA 12.6 on bookworm; there is: ubi8, ubi9, ubuntu20.04,",
        ),
        (Ask(cuda="11.7", exact=True, arch="arm64"), "with CUDA 11.7 for linux/arm64; there is: 11.8, 12.0,"),
        (Ask(cuda="12.6", flavor=CUDNN_RUNTIME, cudnn=8), "with cuDNN 8; there is: 11.4, 11.5,"),
        (Ask(cuda="12.6", flavor="runtime-slim"), "with `runtime-slim`; there is: none"),
    ],
)
def test_what_there_is_no_image_for(ask: Ask, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(ask)
    assert message in str(caught.value)
