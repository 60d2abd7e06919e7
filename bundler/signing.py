"""Signs bundles of the store; what a signature is, `runtime/signatures.py` says."""

from __future__ import annotations

import base64
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError, IntegrityError, UsageError
from ..runtime.signatures import (
    SIGNATURES_FILE,
    Signature,
    dump_signatures,
    encoded,
    missing,
    other_kind,
    read_keys,
    read_pem,
    read_signatures,
    statement,
)
from ..runtime.signatures import check_signed as check
from ..runtime.tag import Tag
from ..runtime.verify import describe_damage, read_manifest
from . import bundles
from .bar import BytesProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class KeyPair(NamedTuple):
    """Files of a new key."""

    private: Path
    public: Path
    key: str
    """The public key, as in `Signature`."""


def new_key(path: Path, passphrase: bytes = b"") -> KeyPair:
    """Makes a key to sign with: `key.pem`, which only you may read, and `key.pub.pem` for everybody.

    Args:
        path: of the private key.
        passphrase: encrypts it; empty: not encrypted.

    Raises:
        UsageError: one of the files exists; no key is ever overwritten.
        MissingDependencyError: `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives import serialization as forms
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise missing() from error
    public = path.with_name(f"{path.name.removesuffix('.pem')}.pub.pem")
    for each in (path, public):
        if each.exists() or each.is_symlink():
            raise UsageError(f"{each} exists: give another name, a key is never overwritten")
    made = Ed25519PrivateKey.generate()
    closed = forms.BestAvailableEncryption(passphrase) if passphrase else forms.NoEncryption()
    pem = made.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, closed)
    open_pem = made.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    try:
        _write_new(path, pem, 0o600)
        _write_new(public, open_pem, 0o644)
    except OSError as error:
        raise ConfigError(f"cannot write the key {error.filename}: {error.strerror}") from error
    return KeyPair(path, public, encoded(made.public_key()))


def sign(
    tag: str | Tag,
    key: Path,
    *,
    ask: Callable[[], str] | None = None,
    on_progress: BytesProgress | None = None,
) -> Signature:
    """Signs a bundle, after all of its files were read and found to be what the manifest says.

    A bundle may have signatures of several keys; one of the same key is replaced.

    Args:
        tag: of a bundle in the store.
        key: file of the private key in PEM.
        ask: gives the passphrase of an encrypted key.
        on_progress: called with the bytes read and the bytes in all.

    Raises:
        NotFoundError: no such bundle.
        IntegrityError: it is damaged; nothing was signed.
        ConfigError: the key cannot be read, or is no Ed25519 key.
        StoreError: the store may not be written.
    """
    private = _private_key(key, ask)
    store = bundles.bundle_store()
    found = store.resolve(tag)
    folder = store.root / found.name / found.version
    info, manifest = read_manifest(folder)
    if damage := bundles.verify(found, on_progress=on_progress):
        raise IntegrityError(f"{found} is damaged, nothing was signed:\n{describe_damage(damage)}")
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    made = Signature(
        key=encoded(private.public_key()),
        created=created,
        signature=base64.b64encode(private.sign(statement(info, manifest, created))).decode(),
    )
    add_signatures(found, [made])
    return made


def add_signatures(tag: Tag, signatures: Sequence[Signature]) -> None:
    """Puts signatures beside those that a bundle has; one of the same key is replaced.

    Raises:
        IntegrityError: the file of signatures is damaged.
        StoreError: the store may not be written; nothing was changed.
    """
    store = bundles.bundle_store()
    folder = store.path(tag)
    new = {signature.key for signature in signatures}
    with store.begin() as draft, store.locked():
        kept = [signature for signature in read_signatures(folder) if signature.key not in new]
        path = draft.folder / SIGNATURES_FILE
        with path.open("xb") as file:
            file.write(dump_signatures([*kept, *signatures]))
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        path.replace(folder / SIGNATURES_FILE)


def check_signed(tag: str | Tag, keys: Sequence[str | Path]) -> Signature:
    """The signature of one of these keys; the files of the bundle are not read.

    Args:
        tag: of a bundle in the store.
        keys: files of public keys in PEM; one of them is enough.

    Raises:
        SignatureError: there is none that fits.
        ConfigError: a key cannot be read.
    """
    folder = bundles.bundle_store().path(tag)
    info, manifest = read_manifest(folder)
    return check(info, manifest, read_signatures(folder), read_keys(keys))


def signatures_of(tag: str | Tag) -> list[Signature]:
    """Who signed a bundle, as they say; nothing is checked.

    Raises:
        IntegrityError: the file of signatures is damaged.
    """
    return read_signatures(bundles.bundle_store().path(tag))


def _private_key(path: Path, ask: Callable[[], str] | None) -> Ed25519PrivateKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise missing() from error
    data = read_pem(path, "key")
    if b"PRIVATE KEY-----" not in data:
        raise ConfigError(f"{path} holds no private key in PEM: bundle sign --new-key {path} makes one")
    closed = b"ENCRYPTED" in data
    if closed and ask is None:
        raise ConfigError(f"{path} is encrypted: its passphrase is needed")
    try:
        key = load_pem_private_key(data, ask().encode() if closed and ask is not None else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "the passphrase is wrong, or it is damaged" if closed else str(error)
        raise ConfigError(f"cannot read the key {path}: {why}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise other_kind(path, key)
    return key


def _write_new(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
