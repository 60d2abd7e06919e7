"""What importing the room costs: no framework, no pandas, no Pillow, no pydantic, no multipart."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from typing import Any
import numpy as np
from jaxtyping import Float32
import tiffin.runtime.schema.convert, tiffin.runtime.schema.openapi
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.outputs import Output
def call(x: Float32[np.ndarray, "n 4"], y: Any = None) -> list[str]: ...
inputs, output = Inputs.of(call, where="test"), Output.of(call, where="test")
inputs.decode_json(b'{"x": [[1, 2, 3, 4]]}')
output.encode_json([np.float32(1), {"a": np.zeros(2)}])
heavy = {"torch", "pandas", "PIL", "pydantic", "multipart", "jax", "sklearn", "litestar"}
print(sorted(heavy & set(sys.modules)))
"""


def test_nothing_heavy_is_imported() -> None:
    command = [sys.executable, "-W", "error", "-c", CODE]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
