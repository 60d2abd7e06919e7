"""Batches of torch modules on the CPU, weights packed and not, in turns: `prepack.py [--rounds 15]`."""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import time

import torch
from report import Report
from torch import nn

import tiffin
from tiffin.runtime.model import torch_call

ROWS = (1, 8, 32, 64)


class Attention(nn.Module):
    """Encoder layers as in BERT: width 768, 12 heads, feed-forward 3072."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.inner = nn.ModuleList(
            nn.ModuleDict(
                {
                    "into": nn.Linear(768, 3 * 768),
                    "out": nn.Linear(768, 768),
                    "up": nn.Linear(768, 3072),
                    "down": nn.Linear(3072, 768),
                }
            )
            for _ in range(layers)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.inner:
            query, key, value = (
                part.unflatten(-1, (12, 64)).transpose(1, 2) for part in layer["into"](x).chunk(3, dim=-1)
            )
            mixed = nn.functional.scaled_dot_product_attention(query, key, value)
            x = nn.functional.layer_norm(x + layer["out"](mixed.transpose(1, 2).flatten(2)), (768,))
            x = nn.functional.layer_norm(x + layer["down"](nn.functional.gelu(layer["up"](x))), (768,))
        return x


def perceptron(*sizes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(sizes):
        layers += [nn.Linear(into, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


MODULES = {
    "perceptron 784-1024-1024-10": (lambda: perceptron(784, 1024, 1024, 10), (784,)),
    "perceptron 256-512-512-1": (lambda: perceptron(256, 512, 512, 1), (256,)),
    "2 encoder layers of BERT's size, 16 tokens": (Attention, (16, 768)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    report = Report("prepack")
    report.section("µs a batch, one thread, through the worker's call")
    lines, raw = [], []
    for name, (make, shape) in MODULES.items():
        torch.manual_seed(0)
        plain = make().eval()
        fast = copy.deepcopy(plain)
        tiffin.prepack(fast)
        for rows in ROWS:
            x = torch.randn(rows, *shape).numpy()
            times: dict[str, list[float]] = {"plain": [], "packed": []}
            for _ in range(rounds):
                for side, module in (("plain", plain), ("packed", fast)):
                    began, calls = time.perf_counter(), 0
                    while time.perf_counter() - began < 0.02 or calls < 2:
                        torch_call.call(module, "predict", x)
                        calls += 1
                    times[side].append((time.perf_counter() - began) / calls * 1e6)
            one, other = (statistics.median(times[side]) for side in ("plain", "packed"))
            lines.append([name, f"{rows}", f"{one:,.0f}", f"{other:,.0f}", f"{one / other:.2f}"])
            raw.append({"module": name, "rows": rows, **times})
    report.table(["module", "rows", "plain", "packed", "times as fast"], lines)
    report.keep({"rounds": rounds, "series": raw})


if __name__ == "__main__":
    main()
