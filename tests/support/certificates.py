"""Certificates for tests, made by the `openssl` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Authority:
    """One CA in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl command to make certificates with")
        folder.mkdir()
        self._folder = folder
        self.file = str(folder / "ca.pem")
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", f"{folder}/ca.key", "-out", self.file),
            *("-subj", "/CN=tests", "-days", "2"),
        )

    def issue(self, name: str, *, days: int = 2) -> tuple[str, str]:
        """Files of a certificate for this host name and 127.0.0.1, and of its key.

        Args:
            days: below 0: it has expired.
        """
        stem = f"{self._folder}/{name}{days}"
        Path(f"{stem}.ext").write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1")
        _openssl("req", *_KEY, "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", f"{stem}.csr", "-CA", self.file, "-CAkey", f"{self._folder}/ca.key"),
            *("-CAcreateserial", "-days", str(days), "-extfile", f"{stem}.ext", "-out", f"{stem}.pem"),
        )
        return f"{stem}.pem", f"{stem}.key"


def trusting(file: str, *own: str) -> ssl.SSLContext:
    """Of a caller. `create_default_context` wants more of certificates from 3.13 on than these have.

    Args:
        file: of the authority.
        own: files of certificate and key that the caller shows.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    if own:
        context.load_cert_chain(*own)
    return context


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
