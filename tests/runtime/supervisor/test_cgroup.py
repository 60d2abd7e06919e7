"""Fake trees of the kernel's files; contents as the kernel writes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tiffin.errors import ConfigError
from tiffin.runtime import cgroup
from tiffin.runtime.cgroup import Cgroup


def tree(root: Path, files: dict[str, str]) -> Cgroup:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Cgroup(root)


V2 = {"proc/self/cgroup": "0::/system.slice/docker-1.scope\n"}
GROUP = "sys/fs/cgroup/system.slice/docker-1.scope"


def test_v2_quota_of_one_and_a_half_cores(tmp_path: Path) -> None:
    group = tree(tmp_path, {**V2, f"{GROUP}/cpu.max": "150000 100000\n"})
    assert group.cpus() == 1.5


def test_v2_the_tightest_ancestor_counts(tmp_path: Path) -> None:
    group = tree(
        tmp_path,
        {
            **V2,
            f"{GROUP}/cpu.max": "max 100000\n",
            "sys/fs/cgroup/system.slice/cpu.max": "300000 100000\n",
            f"{GROUP}/memory.max": "max\n",
            "sys/fs/cgroup/system.slice/memory.max": "1073741824\n",
        },
    )
    assert group.cpus() == 3.0
    assert group.memory_limit_bytes() == 1 << 30


def test_v2_without_limits(tmp_path: Path) -> None:
    group = tree(tmp_path, {**V2, f"{GROUP}/cpu.max": "max 100000\n", f"{GROUP}/memory.max": "max\n"})
    assert group.cpus() is None
    assert group.memory_limit_bytes() is None


def test_v2_inside_a_container_that_sees_only_its_own_part(tmp_path: Path) -> None:
    group = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kubepods/pod1/c1\n",
            "sys/fs/cgroup/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
        },
    )
    assert group.cpus() == 0.5
    assert group.oom_kills() == 2


V1 = {
    "proc/self/cgroup": "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n3:cpuset:/docker/1\n0::/docker/1\n",
}


def test_v1_quota_and_memory(tmp_path: Path) -> None:
    group = tree(
        tmp_path,
        {
            **V1,
            "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "536870912\n",
            "sys/fs/cgroup/memory/docker/1/memory.oom_control": "under_oom 0\noom_kill 4\n",
        },
    )
    assert group.cpus() == 2.0
    assert group.memory_limit_bytes() == 512 << 20
    assert group.oom_kills() == 4


def test_v1_without_limits(tmp_path: Path) -> None:
    group = tree(
        tmp_path,
        {
            **V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert group.cpus() is None
    assert group.memory_limit_bytes() is None
    assert group.oom_kills() == 0


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    group = Cgroup(tmp_path)
    assert (group.cpus(), group.memory_limit_bytes(), group.oom_kills()) == (None, None, 0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(Cgroup, "cpus", lambda _: None)
    assert cgroup.cpu_count() == 4.0
    monkeypatch.setattr(Cgroup, "cpus", lambda _: 2.5)
    assert cgroup.cpu_count() == 2.5


def test_what_is_told_counts_where_it_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no control group tells: on Lambda, or in a micro-VM."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(Cgroup, "cpus", lambda _: None)
    monkeypatch.setattr(Cgroup, "memory_limit_bytes", lambda _: None)
    assert cgroup.memory_limit_bytes() is None
    monkeypatch.setenv("TIFFIN_CPUS", "0.58")
    monkeypatch.setenv("TIFFIN_MEMORY_MIB", "1024")
    assert (cgroup.cpu_count(), cgroup.memory_limit_bytes()) == (0.58, 2**30)
    monkeypatch.setattr(Cgroup, "cpus", lambda _: 0.5)
    monkeypatch.setattr(Cgroup, "memory_limit_bytes", lambda _: 2**20)
    assert (cgroup.cpu_count(), cgroup.memory_limit_bytes()) == (0.5, 2**20)


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan", "inf"])
@pytest.mark.parametrize(
    ("name", "asked"), [("TIFFIN_CPUS", cgroup.cpu_count), ("TIFFIN_MEMORY_MIB", cgroup.memory_limit_bytes)]
)
def test_what_is_told_is_a_number(
    monkeypatch: pytest.MonkeyPatch, name: str, asked: Callable[[], object], text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError, match=f"{name}='{text}'"):
        asked()
