"""Where a model or a bundle comes from, in rows for a panel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def provenance_rows(provenance: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What is known; nothing of what is not."""
    where = " on ".join(filter(None, (provenance.get("user"), provenance.get("host"))))
    yield "made by", " with ".join(filter(None, (where, provenance.get("script"))))
    yield "git", _git(provenance.get("git"))
    yield "notebook", _notebook(provenance.get("notebook"))
    parent = provenance.get("parent")
    yield "parent", parent.get("tag") if isinstance(parent, Mapping) else ""
    for place, one in enumerate(provenance.get("data") or []):
        yield "data" if not place else "", _reference(one)
    for place, (name, value) in enumerate(_metrics(provenance.get("metrics"))):
        yield "metrics" if not place else "", f"{name} {value}"
    yield "tools", _tools(provenance)
    for method, reason in (provenance.get("examples_not_kept") or {}).items():
        yield "no example", f"{method}(): {reason}"


def _git(git: Any) -> str:
    if not isinstance(git, Mapping):
        return ""
    words = str(git.get("commit", ""))
    if not git.get("dirty"):
        return words
    changed = git.get("changed") or []
    words += " with uncommitted changes"
    if changed:
        words += f" of {len(changed)} file{'s'[: len(changed) != 1]}"
    left = len(git.get("left_out") or {})
    return (
        words
        + (f"; {left} left out of the diff" if left else "")
        + ("; --diff shows them" if git.get("diff") or git.get("notebooks") else "")
    )


def diff_text(provenance: Mapping[str, Any]) -> str:
    """The uncommitted changes, for `git apply`, which skips lines behind `|`: those of code cells."""
    git = provenance.get("git") or {}
    parts = [str(git.get("diff", "")).removesuffix("\n")]
    for name, text in (git.get("notebooks") or {}).items():
        parts.append(
            f"code cells of {name}, to read:\n" + "\n".join(f"| {line}" for line in text.splitlines())
        )
    return "\n".join(part for part in parts if part)


def _notebook(notebook: Any) -> str:
    if not isinstance(notebook, Mapping):
        return ""
    cells = notebook.get("cells") or []
    shown = ", ".join(map(str, cells[:6])) + (", …" if len(cells) > 6 else "")
    return f"{notebook.get('path', '')}{f', cells {shown}' if cells else ''}"


def _reference(one: Any) -> str:
    if not isinstance(one, Mapping):
        return str(one)
    name = f"{one['name']}: " if "name" in one else ""
    if "uri" in one:
        return f"{name}{one['uri']}"
    if "path" in one:
        digest = str(one.get("sha256") or one.get("digest", "")).removeprefix("sha256:")
        return f"{name}{one['path']}, {one.get('size_bytes', '?')} bytes, sha256 {digest[:12]}…"
    return name + ", ".join(f"{key} {value}" for key, value in one.items() if key != "name")


def _metrics(metrics: Any) -> list[tuple[str, Any]]:
    from ..bundler.references import flat_metrics

    return list(flat_metrics(metrics).items()) if isinstance(metrics, Mapping) else []


def _tools(provenance: Mapping[str, Any]) -> str:
    known = {name: provenance[name] for name in ("python", "tiffin") if name in provenance}
    more = provenance.get("tools")
    known |= more if isinstance(more, Mapping) else {}
    return ", ".join(f"{name} {version}" for name, version in known.items())
