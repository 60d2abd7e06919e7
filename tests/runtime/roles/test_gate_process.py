"""What a gate does with what the supervisor says."""

from __future__ import annotations

from types import SimpleNamespace

from tiffin.runtime.manifest import RunnerSpec, ServiceSpec
from tiffin.runtime.roles.gate_process import GateProcess
from tiffin.runtime.supervisor.control import Gone, ServerOptions, StartGate, Target


def test_it_passes_on_that_a_worker_has_ended() -> None:
    start = StartGate(
        target=Target(source="", service="m:C"),
        options=ServerOptions(),
        spec=None,
        runners=[],
        listen_fds=[],
        gate_fds=[],
        run_folder="",
        generation=1,
        index=0,
        token=b"a secret that is long enough",
        tls=("", "", "", ""),
    )
    lost: list[str] = []
    spec = ServiceSpec(name="demo", cls="m:C", runners=[RunnerSpec(name="forest")])
    process = GateProcess(None, start, spec)  # type: ignore[arg-type]
    process._gate = SimpleNamespace(lose=lost.append)  # type: ignore[assignment]
    process._heard(Gone(worker="forest-0-1"))
    assert lost == ["forest-0-1"]
