"""TLS 1.3 between containers, from files in PEM."""

from __future__ import annotations

import ssl

from ...errors import ConfigError
from .options import TLS_CA, TLS_CERT, TLS_KEY, TlsFiles


def of_workers(files: TlsFiles) -> ssl.SSLContext | None:
    """For a worker container; None without a certificate. With a CA callers must show one, too.

    Raises:
        ConfigError: a file is none, or key and certificate do not belong together.
    """
    if not files.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    if files.ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def of_api(files: TlsFiles) -> ssl.SSLContext | None:
    """For an API container; None without a CA.

    Raises:
        ConfigError: a file is none, or key and certificate do not belong together.
    """
    if not files.ca:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        if files.cert:
            context.load_cert_chain(files.cert, files.key, password=_no_password)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"{TLS_CERT}={files.cert} and {TLS_KEY}={files.key} are no certificate and its key in PEM: "
            f"{_said(error)}"
        ) from error
    try:
        if files.ca:
            context.load_verify_locations(files.ca)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{TLS_CA}={files.ca} holds no certificates in PEM: {_said(error)}") from error


def _no_password() -> str:
    """Called for an encrypted key; OpenSSL would ask on the terminal."""
    raise ConfigError(f"{TLS_KEY} is encrypted: give the key without a password, readable for this user only")


def _said(error: OSError) -> str:
    return getattr(error, "reason", "") or error.strerror or str(error)
