"""`signatures.json`: who says that a bundle is theirs.

It lies beside the manifest and is not in it. A signature is Ed25519 (RFC 8032) over one line of JSON: name,
version and digest of the bundle, the sha256 of `bundle.yaml` as it lies there, and the time. The manifest
names every file with its sha256, so whoever trusts the key can trust them all, and labels, metrics and
provenance too.

`cryptography` is imported only where a signature is made or checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import ConfigError, IntegrityError, MissingDependencyError, SignatureError
from .digest import open_regular
from .manifest import BundleInfo

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURES_FILE = "signatures.json"
MAX_BYTES = 256 * 1024
"""Of that file."""
MAX_KEY_BYTES = 64 * 1024
FORMAT = 1
EXTRA = "sign"
_CONTEXT = b"tiffin bundle signature\n"
"""What is signed begins with it, so that it can mean nothing else."""
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


class Signature(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One of them."""

    key: str
    """The public key, 32 bytes in base64: says which one to check with, and proves nothing."""
    created: str
    """UTC, ISO 8601; signed too."""
    signature: str
    """64 bytes in base64."""


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: int
    signatures: list[Signature]


def statement(info: BundleInfo, manifest: bytes, created: str) -> bytes:
    """What is signed.

    Args:
        info: of the bundle, read from `manifest`.
        manifest: the bytes of `bundle.yaml`.
        created: when.
    """
    said = {
        "name": info.name,
        "version": info.version,
        "digest": info.digest,
        "manifest": hashlib.sha256(manifest).hexdigest(),
        "created": created,
    }
    return _CONTEXT + msgspec.json.encode(said, order="sorted")


def read_signatures(folder: Path) -> list[Signature]:
    """The signatures of a bundle, not checked; none when it has none.

    Raises:
        IntegrityError: the file is damaged, too large, a link, or of a newer format.
    """
    data = signature_bytes(folder)
    return [] if data is None else parse_signatures(data, folder / SIGNATURES_FILE)


def signature_bytes(folder: Path) -> bytes | None:
    """The file of signatures as it is; None when a bundle has none.

    Raises:
        IntegrityError: it is too large, or a link.
    """
    path = folder / SIGNATURES_FILE
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > MAX_BYTES:
        raise IntegrityError(f"{path} has more than {MAX_BYTES} bytes: it was not made by tiffin")
    return data


def parse_signatures(data: bytes, path: Path) -> list[Signature]:
    """
    Args:
        data: content of the file.
        path: named in errors.

    Raises:
        IntegrityError: as `read_signatures`.
    """
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(
            f"{path} is damaged: {error}; take it away, and sign the bundle again"
        ) from error
    if found.format != FORMAT:
        raise IntegrityError(f"{path} has format {found.format}, this tiffin reads {FORMAT}: upgrade tiffin")
    return found.signatures


def dump_signatures(signatures: Sequence[Signature]) -> bytes:
    """Content of the file.

    Raises:
        SignatureError: nobody could read it any more, it would be too large.
    """
    data = msgspec.json.encode(_File(format=FORMAT, signatures=list(signatures)))
    text = msgspec.json.format(data, indent=2) + b"\n"
    if len(text) > MAX_BYTES:
        raise SignatureError(
            f"{len(signatures)} signatures have {len(text)} bytes, {SIGNATURES_FILE} takes {MAX_BYTES}: "
            "nothing was added"
        )
    return text


def key_name(key: str) -> str:
    """`ed25519:9c1c2f…`, the first half of a sha256: what people compare.

    Args:
        key: as in `Signature`.
    """
    return f"ed25519:{hashlib.sha256(_bytes(key) or key.encode()).hexdigest()[:32]}"


def read_keys(paths: Sequence[str | Path]) -> list[Ed25519PublicKey]:
    """Public keys from files in PEM, each with one or more.

    Raises:
        ConfigError: a file cannot be read, holds no key, a private one, or one of another kind.
        MissingDependencyError: `cryptography` is not installed.
    """
    return [key for path in paths for key in _read_keys(Path(path))]


def check_signed(
    info: BundleInfo, manifest: bytes, signatures: Sequence[Signature], keys: Sequence[Ed25519PublicKey]
) -> Signature:
    """The first signature by one of the keys that fits the bundle.

    Args:
        info: of the bundle, read from `manifest`.
        manifest: the bytes of `bundle.yaml`.
        signatures: of the bundle.
        keys: each of them is enough.

    Raises:
        SignatureError: there is none; says whether others have signed, or the bundle was changed since.
    """
    from cryptography.exceptions import InvalidSignature

    trusted = {encoded(key): key for key in keys}
    ours = [signature for signature in signatures if signature.key in trusted]
    for signature in ours:
        try:
            trusted[signature.key].verify(
                _bytes(signature.signature), statement(info, manifest, signature.created)
            )
        except InvalidSignature:
            continue
        return signature
    name = f"{info.name}:{info.version}"
    wanted = " or ".join(key_name(key) for key in trusted)
    if ours:
        raise SignatureError(
            f"{name} has a signature of {key_name(ours[0].key)} that does not fit: the bundle or the "
            "signature was changed, or it was made for another bundle"
        )
    others = ", ".join(key_name(signature.key) for signature in signatures[:5])
    raise SignatureError(
        f"{name} is not signed by {wanted}" + (f", but by {others}" if others else ": nobody signed it")
    )


def encoded(key: Ed25519PublicKey) -> str:
    """As in `Signature.key`."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def missing() -> MissingDependencyError:
    """For whoever imports `cryptography` in vain; in an image no extra can be installed any more."""
    error = MissingDependencyError("cryptography", EXTRA)
    error.args = (f"{error}; for an image put tiffin[{EXTRA}] into the project's requirements",)
    return error


def read_pem(path: Path, what: str) -> bytes:
    """
    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error


def other_kind(path: Path, key: object) -> ConfigError:
    """For a key that bundles are not signed with."""
    kind = type(key).__name__.strip("_")
    return ConfigError(
        f"{path} holds a {kind}, bundles are signed with Ed25519: bundle sign --new-key makes one"
    )


def _read_keys(path: Path) -> list[Ed25519PublicKey]:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise missing() from error
    data = read_pem(path, "public key")
    blocks = [(match[0], match[1].decode()) for match in _PEM.finditer(data)]
    found = []
    for block, label in blocks:
        if "PRIVATE" in label:
            raise ConfigError(
                f"{path} holds a private key: keep it where bundles are signed, and give the public one"
            )
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path} holds a {label} that cannot be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise other_kind(path, key)
        found.append(key)
    if not found:
        raise ConfigError(f"{path} holds no public key in PEM (-----BEGIN PUBLIC KEY-----)")
    return found


def _bytes(text: str) -> bytes:
    """Empty for what is no base64, which no signature and no key is."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
