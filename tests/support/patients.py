"""What the doctor looks at, made up: nothing is wrong with it unless a test says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiffin.bundler.doctor.finding import Finding
from tiffin.bundler.doctor.machine import Machine
from tiffin.bundler.doctor.patient import Patient, SavedModel
from tiffin.bundler.doctor.volume import Volume
from tiffin.runtime.manifest import FileEntry, MethodSpec, ModelInfo, RunnerSpec, ServiceSpec, TypeSpec

GB = 10**9
NOWHERE = Path("/nowhere")


def machine(**changes: Any) -> Machine:
    home = Volume(Path("/home/me/.tiffin"), "ext4", 500 * GB, 400 * GB, 10**7)
    memory = Volume(Path("/dev/shm"), "tmpfs", 16 * GB, 16 * GB)
    return Machine(**{"home_volume": home, "shared_memory": memory, **changes})


def patient(*, on: dict[str, Any] | None = None, **changes: Any) -> Patient:
    """
    Args:
        on: what differs of the machine.
    """
    return Patient(**{"machine": machine(**(on or {})), **changes})


def array(*shape: int | str, dtype: str = "float32") -> TypeSpec:
    return TypeSpec(kind="array", dtype=dtype, shape=list(shape))


def served(**runner: Any) -> ServiceSpec:
    """A service with one runner, `forest`."""
    methods = {"predict": MethodSpec(inputs={"x": array("n", 4)}, output=array("n"))}
    spec = RunnerSpec(**{"name": "forest", "model": "forest:1", "methods": methods, **runner})
    return ServiceSpec(name="iris", cls="service:Iris", runners=[spec])


def saved(
    path: Path = Path("/nowhere"), *, files: dict[str, int] | None = None, **changes: Any
) -> SavedModel:
    """A model `forest:1`; its files are named with their sizes."""
    entries = [FileEntry(path=name, size_bytes=size, sha256="0" * 64) for name, size in (files or {}).items()]
    given = {
        "name": "forest",
        "version": "1",
        "framework": "sklearn",
        "created": "2025-12-01T00:00:00+00:00",
        "files": entries,
        "digest": "",
        "size_bytes": sum((files or {}).values()),
        "methods": {"predict": MethodSpec(inputs={"x": array("n", 4)})},
        "versions": {"python": "3.11.7"},
    }
    return SavedModel(info=ModelInfo(**{**given, **changes}), path=path)


def only(found: list[Finding], severity: str) -> Finding:
    """The one finding; it must say how to mend it."""
    assert [finding.severity for finding in found] == [severity], found
    assert found[0].what
    assert found[0].mend
    return found[0]
