"""From the last words of a failed build to what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .command import mask
from .steps import Steps

SHOWN_LINES = 12
_LINE = 300
"""Longest line that is shown whole."""


class Cause(NamedTuple):
    pattern: re.Pattern[str]
    advice: str


def _cause(pattern: str, advice: str) -> Cause:
    return Cause(re.compile(pattern, re.IGNORECASE), advice)


# In order: the first that fits is told.
CAUSES = (
    _cause(
        r"no space left on device|disk quota exceeded",
        "the disk is full: make room, or drop what the engine keeps (`docker system df` tells)",
    ),
    _cause(
        r"UnknownIssuer|certificate verify failed|self[- ]signed certificate|unable to get local issuer|"
        r"x509:",
        "the address has a certificate that the build does not know (a proxy's, perhaps): give it the file "
        "of your certificate authorities with --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt",
    ),
    _cause(
        r"hash(?:es)? mismatch|do not match the hashes|DIGEST MISMATCH|hashsum mismatch",
        "a downloaded file is not the one that was locked: the index has changed it, or a proxy has; lock "
        "again with `bundle build`, and look twice when it happens again",
    ),
    _cause(  # before the network's: what breaks off there is no connection to the engine
        r"error reading from server|transport is closing|code = unavailable|unexpected EOF(?! in archive)|"
        r"(?:read|write) unix|cannot connect to the docker daemon",
        "the engine ended while it built, or the connection to it broke off: its log says why (for Docker: "
        "`journalctl -u docker`); start it and build again, finished steps come from its cache",
    ),
    _cause(
        r"temporary failure (?:in name resolution|resolving)|could not resolve|name resolution|dns error|"
        r"no such host|network is unreachable|failed to lookup address|connection refused|i/o timeout|"
        r"operation timed out|error sending request|connection reset",
        "a step of the build has no network, or lost it: build again, try --network host, or check the proxy "
        "(HTTPS_PROXY) and DNS of the engine",
    ),
    _cause(
        r"manifest (?:for \S+ |unknown)|not found: manifest|pull access denied|repository does not exist|"
        r"failed to resolve source metadata|failed to resolve reference|no such image|"
        r"short-name .* did not resolve",
        "the base image was not found: check image: {base: …} or --base, and that this machine can reach its "
        "registry",
    ),
    _cause(
        r"401 unauthorized|403 forbidden|authentication required|unauthorized:|access denied|denied:",
        "the registry or package index wants a name and password: `docker login` for the registry, "
        "--secret id=netrc,src=$HOME/.netrc for a private index",
    ),
    _cause(
        r"no solution found|could not find a version|no matching distribution|has no wheels|"
        r"no wheels with a matching|was not found in the package registry",
        "a package has no version for this Python and platform: change it in the requirements and run "
        "`bundle build` again, or name an index that has it",
    ),
    _cause(
        r"unable to locate package|no package .* available|unable to find a match|no such package",
        "a system package is not known to the distribution of the base: check image: {system_packages: […]}",
    ),
    _cause(
        r"failed to build|error: command '?(?:gcc|cc|g\+\+|cargo)|gcc: not found",
        "a package without a wheel is compiled in the builder stage and lacks a compiler or a library there: "
        "pin a version that has wheels",
    ),
    _cause(
        r"exec format error|no match for platform|does not match the specified platform",
        "the image is for another processor than this machine's: install QEMU's binfmt handlers to build for "
        "it here, or leave --platform out",
    ),
    _cause(
        r"unknown (?:flag|instruction|option)|the --mount option requires BuildKit|unknown flag: mount",
        "the engine is too old for this Dockerfile: docker 20.10, buildah 1.28 and podman 4.3 are "
        "the oldest that can build it",
    ),
    _cause(
        r"exit (?:code|status):? 137|\bkilled\b|\boom\b|SIGKILL",
        "the step was killed, most likely for its memory",
    ),
)


# Of a push: the same words mean other things than in a build.
PUSH_CAUSES = (
    _cause(
        r"server gave HTTP response to HTTPS client",
        "the registry speaks plain HTTP: name it in the engine's list of insecure registries, or give it TLS",
    ),
    _cause(
        r"certificate verify failed|x509:|self[- ]signed certificate",
        "the engine does not know who signed the registry's certificate: put the authority's into "
        "/etc/docker/certs.d/REGISTRY/ca.crt (podman, buildah: /etc/containers/certs.d)",
    ),
    _cause(
        r"no basic auth credentials|unauthorized|authentication required|denied|\b40[13]\b",
        "the registry wants a name and password that may write there: log in with `docker login REGISTRY` "
        "(or podman, buildah, nerdctl), and check that the repository exists",
    ),
    _cause(
        r"no such host|name resolution|connection refused|network is unreachable|i/o timeout|"
        r"context deadline exceeded|TLS handshake timeout",
        "the registry was not reached: check its name and port in --tag, and the engine's DNS and proxy",
    ),
    _cause(
        r"no space left on device|quota|\b413\b|\b507\b|too large",
        "the registry has no room for the image's layers",
    ),
    _cause(
        r"name unknown|name_unknown|not known to registry",
        "the registry has no such repository and does not make it by itself: create it there first",
    ),
    _cause(
        r"too ?many ?requests|\b429\b",
        "the registry counts requests: wait and push again, or log in, which allows more",
    ),
    _cause(
        r"HTTP status:? 5\d\d|internal server error|\bEOF$|connection reset",
        "the registry failed, or something between it and the engine: its log says why; push again, what it "
        "has already is not sent twice",
    ),
)


def advice(lines: Sequence[str], causes: Sequence[Cause] = CAUSES) -> str:
    """What to change; empty when nothing known fits."""
    text = "\n".join(lines)
    return next((cause.advice for cause in causes if cause.pattern.search(text)), "")


def push_failed(engine: str, image: str, said: str) -> str:
    """Why an image was not pushed, and what to change."""
    hint = advice([said], PUSH_CAUSES)
    return mask(f"{engine} could not push {image}: {said}") + (f"\n{hint}" if hint else "")


def explain(engine: str, steps: Steps, code: int) -> str:
    """Why a build failed: the step, its last lines, and what to change."""
    from ...runtime.supervisor.process import Exit

    step = steps.failed
    lines = list(step.lines if step else steps.other)
    reason = step.error if step else ""
    if step and not lines:  # errors of the engine itself: no program printed anything
        lines = [step.error]
    ended = f"it was ended by {Exit(code).signal}" if code < 0 else f"exit code {code}"
    head = f"{engine} could not build the image: " + (f"{step.text!r} failed" if step else ended)
    said = "\n".join(f"  {_cut(line)}" for line in lines[-SHOWN_LINES:])
    hint = advice([*lines, reason, *steps.other, ended])
    return mask(head + (f"\n{said}" if said else "")) + (f"\n{hint}" if hint else "")


def _cut(line: str) -> str:
    """Buildah's errors can show whole structures; what went wrong stands at the end."""
    return line if len(line) <= _LINE else f"{line[: _LINE // 3]} … {line[-_LINE // 2 :]}"
