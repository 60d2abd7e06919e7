"""`libnvidia-ml.so.1` compiled from a few lines of C, so that the real calls of ctypes run without a GPU.

Two boards: one plain, one in MIG mode with two instances at places 0 and 2.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
typedef struct { unsigned long long total, free, used; } memory;
static int running = 0;
static const char *uuids[] = {"GPU-aaaa", "GPU-bbbb", "MIG-cccc", "MIG-dddd"};
static const char *names[] = {"NVIDIA H200", "NVIDIA A100", "A100 MIG 1g.10gb", "A100 MIG 3g.40gb"};
#define AT(device) ((int)(intptr_t)(device) - 100)
int nvmlInit_v2(void) { running++; return INIT; }
int nvmlShutdown(void) { return running-- > 0 ? 0 : 1; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = BOARDS; return running ? 0 : 1; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) {
    *device = (void *)(intptr_t)(100 + i);
    return 0;
}
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    if (AT(device) == 0) return 3;
    *current = *pending = 1;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) { *count = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned i, void **instance) {
    if (i != 0 && i != 2) return 6;
    *instance = (void *)(intptr_t)(102 + i / 2);
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory *found) {
    if (AT(device) == 2) return 3;
    found->total = (AT(device) + 1) * 1073741824ULL;
    return 0;
}
int nvmlDeviceGetName(void *device, char *text, unsigned size) {
    return snprintf(text, size, "%s", names[AT(device)]) < (int)size ? 0 : 7;
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
    return snprintf(text, size, "%s", uuids[AT(device)]) < (int)size ? 0 : 7;
}
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    return snprintf(text, size, DRIVER) < (int)size ? 0 : 7;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = CUDA; return CUDA ? 0 : 12; }
int still_running(void) { return running; }
"""


def compiled(
    folder: Path, *, init: int = 0, cuda: int = 12040, driver: str = "550.54.15", boards: int = 2
) -> Path | None:
    """The library's file; None when this machine has no C compiler.

    Args:
        init: what `nvmlInit_v2` answers.
        cuda: what `libcuda` runs, 1000 × major + 10 × minor; 0: there is no `libcuda`.
        driver: its version.
        boards: 1: without the one in MIG mode.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source = folder / "nvml.c"
    source.write_text(SOURCE)
    library = folder / "libnvidia-ml.so.1"
    values = {"INIT": init, "CUDA": cuda, "DRIVER": f'"{driver}"', "BOARDS": boards}
    subprocess.run(
        [
            compiler,
            "-shared",
            "-fPIC",
            *(f"-D{name}={value}" for name, value in values.items()),
            "-o",
            library,
            source,
        ],
        check=True,
    )
    return library
