"""Bundles of nothing but files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tiffin.bundler.bundles import Bundle
from tiffin.runtime.manifest import BUNDLE_FILE, BundleInfo, FileEntry, ServiceSpec, dump_yaml
from tiffin.runtime.tag import Tag


def plain_bundle(folder: Path, files: dict[str, bytes], modes: dict[str, str] | None = None) -> Bundle:
    """In a folder, as bytes by path; `modes` names those that are not 644."""
    entries = []
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        mode = (modes or {}).get(path, "644")
        entries.append(
            FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), mode=mode)
        )
    service = ServiceSpec(name="echo", cls="service:Echo")
    info = BundleInfo(name="echo", version="v1", created="", digest="", service=service, files=entries)
    folder.mkdir(exist_ok=True)
    (folder / BUNDLE_FILE).write_text(dump_yaml(info))
    return Bundle(Tag("echo", "v1"), info, folder)
