"""ulimits: a connection is an open file, and a thread is a process."""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding
from .patient import Patient

NAME = "limits"
_FILES = 4096
_PROCESSES = 512


def check(patient: Patient) -> Iterator[Finding]:
    soft, hard = patient.machine.open_files
    if 0 <= soft < _FILES:
        enough = hard < 0 or hard >= _FILES
        yield Finding(
            check=NAME,
            severity="note" if enough and soft >= 1024 else "warning",
            what=f"a process may have {soft} open files, and every connection is one",
            mend=f"ulimit -n {65536 if hard < 0 else min(hard, 65536)}"
            if enough
            else "sudo sh -c 'echo \"* hard nofile 65536\" >> /etc/security/limits.conf'  # or: docker run "
            "--ulimit nofile=65536 …",
        )
    if 0 <= patient.machine.processes < _PROCESSES:
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"this user may have {patient.machine.processes} processes and threads; a server with some "
            "workers has more",
            mend="ulimit -u 4096",
        )
