"""A small package index on this machine: https://packaging.python.org/en/latest/specifications/simple-repository-api/."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tiffin.bundler.python.wheel import write_wheel


def wheel(
    name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), **modules: str
) -> tuple[str, bytes]:
    """File name and bytes of a wheel with modules `name.py`."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
    folder = f"{stem}.dist-info"
    files = {
        f"{module}.py": text.encode() for module, text in (modules or {name.replace("-", "_"): ""}).items()
    }
    files[f"{folder}/METADATA"] = (
        "Metadata-Version: 2.1\n" + "".join(f"{line}\n" for line in lines)
    ).encode()
    files[f"{folder}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    return f"{stem}-py3-none-any.whl", write_wheel(files, folder)


class SimpleIndex:
    """What is asked of it, and where it is."""

    def __init__(self, url: str, files: dict[str, bytes]) -> None:
        self.url = url
        self.files = files
        """Name to bytes of what it has; may change while it runs."""
        self.asked: list[str] = []


@contextmanager
def simple_index(files: dict[str, bytes], *, user: str = "", password: str = "") -> Iterator[SimpleIndex]:
    """
    Args:
        files: name to bytes of wheels.
        user: demanded, with the password.
        password: of the user.
    """
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            if wanted and self.headers.get("Authorization") != wanted:
                self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="packages"'})
                return
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "files" and name in files:
                self._answer(200, files[name], {"Content-Type": "application/octet-stream"})
            elif kind == "simple" and (page := _page(name, files)):
                self._answer(200, page.encode(), {"Content-Type": "text/html"})
            else:
                self._answer(404, b"", {})

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = SimpleIndex(f"http://127.0.0.1:{server.server_port}/simple", files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _page(name: str, files: Mapping[str, bytes]) -> str:
    links = [
        f'<a href="/files/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>'
        for file, data in files.items()
        if file.partition("-")[0].replace("_", "-") == name.strip("/")
    ]
    return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>" if links else ""
