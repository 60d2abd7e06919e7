"""Trains a support vector machine on digits that a first stage has cleaned."""

from __future__ import annotations

import numpy as np
from service import Cleaner
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

import tiffin

digits = load_digits()
features = Cleaner().clean(digits.images.astype(np.float32))
train_x, test_x, train_y, test_y = train_test_split(
    features, digits.target, test_size=0.3, random_state=0, stratify=digits.target
)
machine = SVC(gamma="scale").fit(train_x, train_y)
accuracy = float(machine.score(test_x, test_y))

model = tiffin.models.save(
    "digits-svm",
    machine,
    example=features[:2],
    classes=[str(digit) for digit in range(10)],
    metadata={"accuracy": accuracy},
)
print(f"{model.tag}  accuracy {accuracy:.3f}")
