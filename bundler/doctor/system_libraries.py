"""Libraries and programs of the system that installed wheels want: what is missing here, and in the image.

`libGL.so.1: cannot open shared object file` comes with the first import, which is often the first request in
a container: the machine that the service was written on has what a slim image has not.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from .finding import Finding, Severity
from .patient import Patient
from .shared_objects import Missing, Objects, system_libraries

NAME = "libraries"
_SHOWN = 6
DEBIAN = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libxcb.so.1": "libxcb1",
    "libgomp.so.1": "libgomp1",
    "libgfortran.so.5": "libgfortran5",
    "libquadmath.so.0": "libquadmath0",
    "libopenblas.so.0": "libopenblas0",
    "liblapack.so.3": "liblapack3",
    "libblas.so.3": "libblas3",
    "libsndfile.so.1": "libsndfile1",
    "libportaudio.so.2": "libportaudio2",
    "libsox.so": "libsox3",
    "libmagic.so.1": "libmagic1",
    "libzbar.so.0": "libzbar0",
    "libpq.so.5": "libpq5",
    "libodbc.so.2": "unixodbc",
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libcairo.so.2": "libcairo2",
    "libgdk_pixbuf-2.0.so.0": "libgdk-pixbuf-2.0-0",
    "libhdf5.so.103": "libhdf5-103",
    "libnuma.so.1": "libnuma1",
    "libibverbs.so.1": "libibverbs1",
    "libtbb.so.12": "libtbb12",
    "libopenslide.so.0": "libopenslide0",
    "libaio.so.1": "libaio1",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libtiff.so.6": "libtiff6",
    "libopenmpi.so.40": "libopenmpi3",
    "libmpi.so.40": "libopenmpi3",
}
"""Library to the package of Debian and Ubuntu that has it; none of them is in `python:3.x-slim`."""
OPENED = {
    "python-magic": "libmagic.so.1",
    "pyzbar": "libzbar.so.0",
    "weasyprint": "libpango-1.0.so.0",
    "openslide-python": "libopenslide.so.0",
    "pyodbc": "libodbc.so.2",
    "sounddevice": "libportaudio.so.2",
}
"""Package to the library that it opens by name while it is imported, which no file of it says."""
PROGRAMS = {
    "pytesseract": ("tesseract", "tesseract-ocr"),
    "pydub": ("ffmpeg", "ffmpeg"),
    "ffmpeg-python": ("ffmpeg", "ffmpeg"),
    "openai-whisper": ("ffmpeg", "ffmpeg"),
    "pdf2image": ("pdftoppm", "poppler-utils"),
    "graphviz": ("dot", "graphviz"),
    "gitpython": ("git", "git"),
}
"""Package to the program that it starts, and Debian's package for it."""
_DRIVER = ("libcuda.so", "libnvidia-ml.so", "libnvcuvid", "libnvidia-encode")
"""Of NVIDIA's driver: the check `gpu` knows about it."""


def check(patient: Patient) -> Iterator[Finding]:
    machine = patient.machine
    if machine.system != "linux":
        return
    wanted = Objects(machine.info_folders).wanted(patient.packages)
    for package, library in OPENED.items():
        if package in patient.packages:
            wanted.setdefault(library, Missing(library, package, package))
    here = system_libraries(machine.arch, machine.environ)
    absent = [
        each for name, each in sorted(wanted.items()) if name not in here and not name.startswith(_DRIVER)
    ]
    # Of all that is installed on a machine, some is never imported.
    yield from _missing(absent, "warning" if patient.kind == "machine" else "error")
    programs = {name: PROGRAMS[name] for name in sorted(PROGRAMS.keys() & patient.packages.keys())}
    for name, (program, package) in programs.items():
        if shutil.which(program) is None:
            yield Finding(
                check=NAME,
                severity="warning",
                what=f"{name} starts the program {program}, which is not installed",
                where=name,
                mend=f"sudo apt-get install {package}",
            )
    needed = {DEBIAN[name]: each.package for name, each in wanted.items() if name in DEBIAN}
    needed |= {package: name for name, (_, package) in programs.items()}
    yield from _image(patient, needed)


def _missing(absent: list[Missing], severity: Severity) -> Iterator[Finding]:
    by_package: dict[str, list[Missing]] = {}
    for each in absent:
        by_package.setdefault(each.package, []).append(each)
    for package, libraries in by_package.items():
        names = [each.library for each in libraries]
        known = sorted({DEBIAN[name] for name in names if name in DEBIAN})
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield Finding(
            check=NAME,
            severity=severity,
            what=f"{package} wants {', '.join(names[:_SHOWN])}{more}, which neither the system nor a package "
            "has",
            where=libraries[0].file,
            mend=f"sudo apt-get install {' '.join(known)}" if known else f"apt-file search {names[0]}",
        )


def _image(patient: Patient, needed: dict[str, str]) -> Iterator[Finding]:
    """What the usual base of an image has not."""
    if patient.kind not in {"folder", "bundle"} or patient.wishes.image.base:
        return
    listed = {name.partition("=")[0].partition(":")[0] for name in patient.wishes.image.system_packages}
    absent = sorted(needed.keys() - listed)
    if absent:
        who = ", ".join(sorted({needed[name] for name in absent}))
        yield Finding(
            check=NAME,
            severity="warning",
            what=f"{who} want{'s' if ',' not in who else ''} {', '.join(absent)} of the system, which the "
            "image will not have",
            where="bundlefile.yaml",
            mend=f"image: {{system_packages: [{', '.join(sorted(listed | set(absent)))}]}}  # in "
            "bundlefile.yaml",
        )
