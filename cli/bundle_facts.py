"""What commands say of a bundle in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..bundler.bundles import Bundle


def facts(bundle: Bundle) -> dict[str, Any]:
    """The same keys wherever a bundle is listed or made."""
    return {
        "tag": str(bundle.tag),
        "name": bundle.tag.name,
        "version": bundle.tag.version,
        "digest": bundle.info.digest,
        "size_bytes": bundle.info.size_bytes,
        "created": bundle.info.created,
        "models": bundle.info.models,
        "path": str(bundle.path),
    }
