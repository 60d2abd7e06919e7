"""Asks the running service: `python call.py http://localhost:3000`."""

from __future__ import annotations

import io
import json
import sys
import urllib.request

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

base = sys.argv[1].rstrip("/")
digits = load_digits()


def ask(path: str, body: bytes, media_type: str) -> object:
    request = urllib.request.Request(base + path, data=body, headers={"content-type": media_type})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


pixels = digits.images / 16
for index in (3, 8):
    body = json.dumps({"image": pixels[index].tolist()}).encode()
    print(f"truth {digits.target[index]}  answer {ask('/read', body, 'application/json')}")

packed = io.BytesIO()
np.save(packed, pixels[10:20].astype(np.float32))
print("ten at once, as .npy:", ask("/read_many", packed.getvalue(), "application/x-npy"))

png = io.BytesIO()
Image.fromarray((255 - pixels[7] * 255).astype(np.uint8)).resize((64, 64)).save(png, "PNG")
print(f"a 64 x 64 picture of a {digits.target[7]}:", ask("/read_picture", png.getvalue(), "image/png"))
