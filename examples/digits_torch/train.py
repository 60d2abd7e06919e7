"""Trains a small CNN on scikit-learn's 8 x 8 digits in a few seconds and saves it."""

from __future__ import annotations

import torch
from network import DigitNet
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import tiffin

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
labels = torch.tensor(digits.target)
train_index, test_index = train_test_split(range(len(labels)), test_size=0.3, random_state=0, stratify=labels)

network = DigitNet()
optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
for _ in range(12):
    for batch in torch.tensor(train_index)[torch.randperm(len(train_index))].split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()

network.eval()
with torch.inference_mode():
    accuracy = float((network(images[test_index]).argmax(1) == labels[test_index]).float().mean())

model = tiffin.models.save(
    "digits",
    network,
    example=images[:2].numpy(),
    classes=[str(digit) for digit in range(10)],
    metadata={"accuracy": accuracy},
)
print(f"{model.tag}  accuracy {accuracy:.3f}")
