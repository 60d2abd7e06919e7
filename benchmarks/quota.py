"""A limit on the processor time of a family of processes, by a control group of the kernel (v1 or v2)."""

from __future__ import annotations

import uuid
from pathlib import Path
from types import TracebackType

PERIOD_US = 20_000
"""Short, so that a family that used its share up does not stand still for long."""


class QuotaRefusedError(Exception):
    """This machine lets us make no control group, or none with a limit."""


class Quota:
    """At most `cores` of processor time a second, all processes together, for those put in.

    Raises:
        QuotaRefusedError: on entering.
    """

    def __init__(self, cores: float) -> None:
        self.cores = cores

    def __enter__(self) -> Quota:  # noqa: PYI034 - Self is from Python 3.11 on
        parent, limits = self._parent()
        self.folder = parent / f"tiffin-bench-{uuid.uuid4().hex[:8]}"
        try:
            self.folder.mkdir()
            for name, value in limits.items():
                (self.folder / name).write_text(value)
        except OSError as error:
            raise QuotaRefusedError(f"{error.strerror}: {error.filename}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.folder.rmdir()  # its processes have ended by now

    def hold(self, pids: list[int]) -> None:
        """Puts processes in; what they start later is in as well."""
        for pid in pids:
            (self.folder / "cgroup.procs").write_text(str(pid))

    def _parent(self) -> tuple[Path, dict[str, str]]:
        root = Path("/sys/fs/cgroup")
        quota_us = str(int(self.cores * PERIOD_US))
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        for _, controllers, path in own:
            if "cpu" in controllers.split(","):
                limits = {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": quota_us}
                return root / controllers / path.lstrip("/"), limits
        if (root / "cgroup.controllers").exists():
            path = next(path for number, _, path in own if number == "0")
            return root / path.lstrip("/"), {"cpu.max": f"{quota_us} {PERIOD_US}"}
        raise QuotaRefusedError("no control groups for the processor in /sys/fs/cgroup")
