"""Keeps passwords and keys out of bundles, which are copied to places that their author never sees.

A file is refused for its name, or for what its first MiB says when that is text. Token formats are those that
the issuers document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatch
from typing import NamedTuple

from ..errors import SecretFoundError
from .snapshot import SourceFile

SCANNED_BYTES = 1 << 20
_TEXT_BYTES = 8192
_SHOWN = 20


class Finding(NamedTuple):
    """A file that looks like a secret."""

    path: str
    what: str


_HARMLESS_ENDINGS = (".dist", ".example", ".sample", ".template")
_NAMES = {
    "environment file": (".env", ".env.*", ".envrc", "*.env"),
    "private key": ("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "*.ppk"),
    "key store": ("*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.gpg-key"),
    "credentials file": (
        ".dockercfg",
        ".git-credentials",
        ".htpasswd",
        ".netrc",
        ".pgpass",
        ".pypirc",
        "_netrc",
        "application_default_credentials.json",
        "kubeconfig",
    ),
}
# The last two parts of the path.
_PLACES = {
    ".aws/credentials": "credentials file",
    ".docker/config.json": "credentials file",
    ".kube/config": "credentials file",
    ".streamlit/secrets.toml": "credentials file",
}


class _Rule(NamedTuple):
    what: str
    mark: bytes
    """Must occur; looked for first, because that is far cheaper than the pattern."""
    pattern: re.Pattern[bytes]


def _rule(what: str, mark: bytes, pattern: bytes) -> _Rule:
    return _Rule(what, mark, re.compile(pattern))


_AWS_SECRET = (
    rb"(?i)aws_?secret_?(?:access_?)?key[\"']?\s{0,4}[=:]\s{0,4}[\"']?"
    rb"(?![A-Za-z0-9/+]{30}EXAMPLEKEY)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"
)
_RULES = (
    # A body must follow: code that only speaks of keys is none. `\\n` is how JSON writes a line end.
    _rule(
        "private key",
        b"PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rb"(?:\\[nr]|\s|(?:Proc-Type|DEK-Info|Version|Comment): [^\n]{0,200}\n){1,20}[A-Za-z0-9+/=]{16}",
    ),
    _rule("AWS access key", b"KIA", rb"\bAKIA(?![0-9A-Z]{9}EXAMPLE)[0-9A-Z]{16}\b"),
    _rule("AWS access key", b"ASIA", rb"\bASIA(?![0-9A-Z]{9}EXAMPLE)[0-9A-Z]{16}\b"),
    _rule("AWS secret key", b"ecret", _AWS_SECRET),
    _rule("AWS secret key", b"SECRET", _AWS_SECRET),
    _rule("GitHub token", b"gh", rb"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    _rule("GitHub token", b"github_pat_", rb"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"),
    _rule("GitLab token", b"glpat-", rb"\bglpat-[A-Za-z0-9_-]{20,}"),
    _rule("Slack token", b"xox", rb"\bxox[abeprs]-[0-9]+-[A-Za-z0-9-]{10,}"),
    _rule("Stripe key", b"_live_", rb"\b[rs]k_live_[A-Za-z0-9]{20,}\b"),
    _rule("Hugging Face token", b"hf_", rb"\bhf_[A-Za-z]{34}\b"),
    _rule("OpenAI key", b"sk-", rb"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,}"),
    _rule("Anthropic key", b"sk-ant-", rb"\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{80,}"),
    _rule("PyPI token", b"pypi-AgE", rb"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    _rule("npm token", b"npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    _rule("npm token", b"_authToken", rb"_authToken\s*=\s*[A-Za-z0-9_-]{20,}"),
    # Words that stand for a password in examples are none; `{…}`, `<…>` and `$…` are templates.
    _rule(
        "password in an address",
        b"://",
        rb"(?i)\bhttps?://[A-Za-z0-9._~%+-]{1,64}:(?!(?:pass(?:word|wd)?|pw|secret|token|x+|\*+)@)"
        rb"[A-Za-z0-9._~%+!*-]{3,256}@[A-Za-z0-9]",
    ),
    _rule("Google API key", b"AIza", rb"\bAIza[A-Za-z0-9_-]{35}\b"),
    _rule(
        "Kubernetes credentials",
        b"client-key-data",
        rb"(?m)^\s{0,20}client-key-data:\s{0,4}[\"']?[A-Za-z0-9+/=]{40}",
    ),
)


def find_secrets(files: Iterable[SourceFile]) -> list[Finding]:
    """Looks at names, then at the beginning of text files; at most one finding a file."""
    found = []
    for file in files:
        what = _by_name(file.path) or _by_content(file)
        if what:
            found.append(Finding(file.path, what))
    return found


def refuse_secrets(
    files: Iterable[SourceFile], *, allow: Collection[str] = (), code: Callable[[str], bool] | None = None
) -> None:
    """Stops a build that would carry secrets.

    Args:
        files: what would go in.
        allow: paths whose author says that they are none.
        code: whether a path is needed and cannot be left out: what cells import, and were.

    Raises:
        SecretFoundError: names every file, what it looks like, and how to leave it out or let it in; never
            shows the secret itself.
    """
    allowed = set(allow)
    found = find_secrets(file for file in files if file.path not in allowed)
    if not found:
        return
    lines = [f"  {path}: {what}" for path, what in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more")
    paths = [path for path, _ in found[:_SHOWN]]
    needed = [path for path in paths if code is not None and code(path)]
    others = [f"/{_escaped(path)}" for path in paths if path not in needed]
    ways = []
    if needed:
        ways.append(
            f"the service needs {', '.join(needed)}, which cannot be left out: let the code read the value "
            "when it starts, os.environ['…']"
        )
    if others:
        ways.append(
            "leave them out in bundlefile.yaml (or, a pattern a line, in .bundleignore):\n"
            f"  exclude: {json.dumps(others, ensure_ascii=False)}"
        )
    ways.append(
        f"or let them in, when they are no secrets:\n  allow_secrets: {json.dumps(paths, ensure_ascii=False)}"
    )
    raise SecretFoundError(
        "files that look like secrets would go into the bundle:\n" + "\n".join([*lines, *ways])
    )


def _by_name(path: str) -> str | None:
    name = path.rpartition("/")[2]
    lower = name.lower()
    if lower.endswith(_HARMLESS_ENDINGS):
        return None
    for what, patterns in _NAMES.items():
        if any(fnmatch(lower, pattern) for pattern in patterns):
            return what
    parts = path.split("/")
    if ".ssh" in parts[:-1] and not lower.endswith(".pub"):
        return "file of a .ssh folder"
    return _PLACES.get("/".join(parts[-2:]))


def secret_in(path: str, text: bytes) -> str | None:
    """What a text looks like by the name of its file and by what it says; None when it is harmless.

    Args:
        path: POSIX path; empty: it has no name.
        text: all of it is looked at.
    """
    return (_by_name(path) if path else None) or _by_text(text)


def _by_content(file: SourceFile) -> str | None:
    with file.source.open("rb") as opened:
        head = opened.read(_TEXT_BYTES)
        if b"\0" in head:
            return None
        text = head + opened.read(SCANNED_BYTES - len(head))
    return _by_text(text)


def _by_text(text: bytes) -> str | None:
    if b'"service_account"' in text and b'"private_key"' in text:
        return "service account key"
    return next((rule.what for rule in _RULES if rule.mark in text and rule.pattern.search(text)), None)


def _escaped(path: str) -> str:
    """The path as a pattern that means only itself."""
    return re.sub(r"([\\*?\[\]!# ])", r"\\\1", path)
