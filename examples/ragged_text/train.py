"""Learns from Python's own manual where words end, in some seconds, and saves the network."""

from __future__ import annotations

import re
from pydoc_data.topics import topics

import torch
from network import SpaceNet
from torch import nn

import tiffin

torch.manual_seed(0)
torch.set_num_threads(1)  # so small a network gains nothing from more
words = re.findall("[a-z]+", " ".join(topics.values()).lower())
letters = torch.tensor([ord(letter) - 96 for word in words for letter in word])
ends = torch.tensor([place == len(word) - 1 for word in words for place in range(len(word))]).float()
held_out = len(letters) // 10

LENGTH = 48


def sample(start: int, stop: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.randint(start, stop - LENGTH, (number, 1)) + torch.arange(LENGTH)
    return letters[at], ends[at]


network = SpaceNet()
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
for _ in range(300):
    x, y = sample(held_out, len(letters), 32)
    optimizer.zero_grad()
    nn.functional.binary_cross_entropy(network(x), y).backward()
    optimizer.step()

network.eval()
with torch.inference_mode():
    x, y = sample(0, held_out, 500)
    accuracy = float(((network(x) > 0.5) == (y > 0.5)).float().mean())

model = tiffin.models.save(
    "spaces",
    network,
    example=letters[None, :LENGTH].numpy(),
    metadata={"accuracy": accuracy},
    # Texts of any length share batches; every caller gets as many scores as it sent letters.
    methods={
        "predict": {
            "pad": 0,
            "buckets": (16, 64, 256, 1024),
            "unpad": True,
            "cost": "length",
            "max_cost": 16_384,
            "max_batch_size": 256,
        }
    },
)
print(f"{model.tag}  accuracy {accuracy:.3f}")
