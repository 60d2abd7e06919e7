"""Where the wheels named `nvidia-…` put their libraries in the image's environment.

Packages that load CUDA of the system (`onnxruntime-gpu`, `ctranslate2`) look for it with the loader and not
in there, and fall back to the CPU without a word; so the loader is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .cuda_table import major

VENV = "/opt/venv"
_SUFFIXED = re.compile(r"nvidia-([a-z-]+?)-cu(\d+)")
_LOADED = frozenset(
    {"cuda-runtime", "cuda-nvrtc", "cublas", "cufft", "curand", "cusolver", "cusparse", "nvjitlink"}
)
"""What CUDA 11 and 12 have a folder each for, and CUDA 13 one for all (`nvidia/cu13/lib`)."""
_OF_THEIR_OWN = frozenset({"cudnn", "nccl"})


def library_folders(packages: Mapping[str, str], python: str) -> list[str]:
    """
    Args:
        packages: canonical name to version.
        python: `3.11`

    Returns:
        absolute folders of the image, sorted; empty when no wheel brings libraries.
    """
    found = set()
    for name, version in packages.items():
        match = _SUFFIXED.fullmatch(name)
        if match and match[1] in _LOADED | _OF_THEIR_OWN:
            found.add(match[1].replace("-", "_"))
        elif name == "nvidia-cuda-runtime":
            found.add(f"cu{major(version)}")
    return [f"{VENV}/lib/python{python}/site-packages/nvidia/{folder}/lib" for folder in sorted(found)]
