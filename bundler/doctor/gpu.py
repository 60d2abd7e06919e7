"""Driver, devices, and what the packages were built for: do they fit?

The tables are those of images (docs/13-cuda.md); a driver runs every release of CUDA whose family it is new
enough for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...errors import ServerError
from ..image.cuda_table import major, numbers, oldest_driver, wheel
from ..image.demand import Demand, Fact, demand
from ..python.installed import public_version
from .cores import plan_of
from .finding import Finding
from .patient import Patient
from .shared_objects import system_libraries

NAME = "gpu"
_INDEX = "https://download.pytorch.org/whl"
_BUILDS = {11: "cu118", 12: "cu126", 13: "cu130"}
"""Family of CUDA to the build of it that PyTorch publishes, or published, for the most versions; a release of
CUDA need not have one: there is no cu125."""


def check(patient: Patient) -> Iterator[Finding]:
    machine = patient.machine
    wanted = demand(patient.packages, machine.arch)
    if machine.driver is not None and machine.driver.mismatch:
        loaded = f" ({machine.loaded_driver})" if machine.loaded_driver else ""
        yield Finding(
            check=NAME,
            severity="error",
            what=f"NVIDIA's libraries are of another version than the driver that is loaded{loaded}: it was "
            "updated",
            mend="sudo reboot",
        )
        return
    yield from _refused(patient)
    yield from _driver(patient, wanted)
    yield from _packages(patient, wanted)


def _refused(patient: Patient) -> Iterator[Finding]:
    """Runners that want devices which are not here, and devices that are hidden by a variable."""
    machine = patient.machine
    if "names" in machine.gpus_from and "twice" in machine.gpus_from:
        yield Finding(check=NAME, severity="error", what=machine.gpus_from, mend="unset CUDA_VISIBLE_DEVICES")
    if patient.service is None or not any(runner.gpus for runner in patient.service.runners):
        return
    try:
        plan_of(patient, patient.service)
    except ServerError as error:
        runner = next(each for each in patient.service.runners if each.gpus)
        mend = (
            f"tiffin.runner(…, workers=1, gpus=1)  # of {runner.name}"
            if machine.gpus
            else f"tiffin.runner(…, gpus=0)  # of {runner.name}; or serve where there is a GPU: docker run "
            "--gpus all …"
        )
        yield Finding(check=NAME, severity="error", what=str(error), where=patient.title, mend=mend)


def _driver(patient: Patient, wanted: Demand) -> Iterator[Finding]:
    driver = patient.machine.driver.driver if patient.machine.driver else patient.machine.loaded_driver
    release = wanted.newest
    needed = oldest_driver(release) if release else ""
    if not (driver and needed) or numbers(driver) >= numbers(needed):
        return
    runs = patient.machine.driver.cuda if patient.machine.driver else None
    if runs is not None and runs[0] >= major(release):
        return  # the libraries of cuda-compat are in use
    fitting = [family for family in _BUILDS if _runs(driver, f"{family}.0")]
    older = f"pip install torch --index-url {_INDEX}/{_BUILDS[max(fitting)]}" if fitting else ""
    who = wanted.carrier or (wanted.linked.words if wanted.linked else "a package")
    yield Finding(
        check=NAME,
        severity="error",
        what=f"{who} is built for CUDA {release}, which needs NVIDIA's driver {needed} or newer; this is "
        f"{driver}",
        mend=f"sudo apt-get install nvidia-driver-{numbers(needed)[0]}"
        + (f"  # or: {older}" if older else ""),
    )


def _runs(driver: str, release: str) -> bool:
    needed = oldest_driver(release)
    return bool(needed) and numbers(driver) >= numbers(needed)


def _packages(patient: Patient, wanted: Demand) -> Iterator[Finding]:
    machine = patient.machine
    seen = bool(machine.gpus) or (machine.driver is not None and machine.driver.devices > 0)
    if seen:
        for fact in wanted.cpu_only:
            runs = machine.driver.cuda if machine.driver is not None else None
            yield Finding(
                check=NAME,
                severity="warning",
                what=f"{fact.words} uses no GPU, and there is one here",
                where=fact.package,
                mend=f"pip install --force-reinstall {_build(fact, machine.arch, runs)}",
            )
    if not seen or machine.system != "linux":
        return
    libraries = system_libraries(machine.arch, machine.environ)
    for fact in wanted.system:
        if any(re.fullmatch(rf"libcudart\.so\.{major(fact.cuda)}(?:\..*)?", name) for name in libraries):
            continue
        cudnn = f" and cuDNN {fact.cudnn}" if fact.cudnn else ""
        yield Finding(
            check=NAME,
            severity="error",
            what=f"{fact.words} loads CUDA {fact.cuda}{cudnn} of the system, which is not here; it falls "
            "back to the CPU",
            where=fact.package,
            mend=f"pip install '{fact.package}[{fact.extra}]=={fact.version}'"
            if fact.extra
            else f"pip install nvidia-cuda-runtime-cu{major(fact.cuda)} nvidia-cublas-cu{major(fact.cuda)} "
            f"nvidia-cudnn-cu{major(fact.cuda)}",
        )


def _build(fact: Fact, arch: str, runs: tuple[int, int] | None) -> str:
    """What pip is to install in place of a build for the CPU.

    Args:
        arch: `amd64`, `arm64`.
        runs: the CUDA that the driver runs; it runs all of its family, and those before.
    """
    row = wheel(fact.package, fact.version)
    cuda = (row.arm64 if arch == "arm64" else row.amd64) if row is not None else ""
    if cuda and (runs is None or major(cuda) <= runs[0]):
        return f"{fact.package}=={public_version(fact.version)}  # PyPI's is built for CUDA {cuda}"
    if fact.package != "torch" or runs is None:
        return fact.package
    family = max(each for each in _BUILDS if each <= max(runs[0], min(_BUILDS)))
    return f"torch --index-url {_INDEX}/{_BUILDS[family]}"
