"""The name of a device, as users write it."""

from __future__ import annotations

from ...errors import ModelError


def kind_and_number(device: str) -> tuple[str, int]:
    """`("cuda", 1)` of `cuda:1`; kinds are `auto`, `cpu` and `cuda`, and a number that is not said is 0.

    Raises:
        ModelError: it is no such name.
    """
    kind, _, number = device.partition(":")
    known = device == "auto" or kind in ("cpu", "cuda")
    if not known or not (number or "0").isdigit():
        raise ModelError(f"bad device {device!r}: use auto, cpu, cuda, cuda:1 …")
    return kind, int(number or 0)
