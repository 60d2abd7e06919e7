"""Linear layers that are large enough to be packed."""

from __future__ import annotations

import platform

import pytest
import torch
from torch import nn

import tiffin

WIDTH = 512
ONLY_HERE = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"}, reason="layers are packed on x86-64 only"
)


def layer(*, bias: bool = True, inputs: int = WIDTH, outputs: int = 257) -> nn.Linear:
    """The same numbers each time."""
    torch.manual_seed(1)
    return nn.Linear(inputs, outputs, bias=bias).eval()


def packed(module: nn.Module) -> nn.Module:
    assert tiffin.prepack(module).layers
    return module
