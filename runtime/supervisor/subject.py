"""What a server serves: what a person typed, and what that meant when it was looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError
from ..manifest import ServiceSpec
from ..model.replaced import FOLDER, check_replaced, replaced
from ..service.load import resolve_target
from ..verify import verify_before_serving
from .control import Target


@dataclass(frozen=True)
class Subject:
    text: str
    """As typed: a folder, `module:Class`, a bundle's tag or its folder."""
    folder: Path
    """Where it was typed."""
    target: Target
    title: str
    """What the pages call it: a bundle's tag, or `module:Class`."""
    spec: ServiceSpec | None
    """None when it has to be imported to know."""


def look_up(text: str, folder: Path, *, signed_by: Sequence[str] = ()) -> Subject:
    """Finds what a person means now; nothing of it is run.

    Args:
        text: as typed.
        folder: where it was typed.
        signed_by: files of public keys, one of which must have signed it; none: anything is served.

    Raises:
        UsageError: there is nothing of that name, or it cannot be a service.
        ConfigError: a model that should take the place of a bundled one cannot.
        IntegrityError: files of the bundle are not what its manifest says.
        SignatureError: nobody who is trusted signed it.
        TiffinError: what else keeps it from being served.
    """
    target = resolve_target(text, folder)
    if signed_by and not target.bundle:
        raise ConfigError(f"only signed bundles are served here, and {text} is none: build it, and sign it")
    if signed_by and (others := replaced()):
        raise ConfigError(
            f"only signed bundles are served here, and {FOLDER} puts {', '.join(sorted(others))} in place of "
            "what was signed: leave it out"
        )
    bundle = verify_before_serving(Path(target.bundle), signed_by=signed_by) if target.bundle else None
    if bundle is not None:
        check_replaced(bundle)
    return Subject(
        text=text,
        folder=folder,
        target=target,
        title=f"{bundle.name}:{bundle.version}" if bundle else target.service,
        spec=bundle.service if bundle else None,
    )
