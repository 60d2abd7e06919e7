"""What to type next where a target is not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError, IntegrityError, SignatureError

_DAMAGED = "delete the bundle, and import it again or build it anew"


@contextmanager
def project_hinted(target: str) -> Iterator[None]:
    """Says how to begin where a folder has nothing that could be built or served, and what its settings are
    called.

    Args:
        target: as typed.
    """
    try:
        yield
    except ConfigError as error:
        if not _is_bare(target):
            raise
        where = "" if target in {"", ".", "./"} else f" {target}"
        raise ConfigError(f"{error}\nA small project to begin with: bundle init{where}") from error
    except IntegrityError as error:
        from ..runtime.manifest import BUNDLE_FILE
        from ..runtime.service.bundlefile import BUNDLEFILE

        folder = Path(target)
        if not (folder / BUNDLE_FILE).is_file() or (folder / "src").is_dir():
            raise
        raise ConfigError(
            f"{error}\n{BUNDLE_FILE} is what a bundle holds; what a project wants is in {BUNDLEFILE}"
        ) from error


@contextmanager
def damage_hinted() -> Iterator[None]:
    """Says what to do about a bundle whose files are not what its manifest says."""
    try:
        yield
    except IntegrityError as error:
        # Signatures and newer formats say themselves what to do.
        if isinstance(error, SignatureError) or "upgrade tiffin" in str(error):
            raise
        raise IntegrityError(f"{error}\n{_DAMAGED}") from error


def _is_bare(target: str) -> bool:
    """Whether it is a folder without Python, notebooks and settings of a project."""
    try:
        names = [path.name.lower() for path in Path(target).iterdir()]
    except OSError:  # no folder, or none that may be looked at
        return False
    settings = ("bundlefile", "bundle.yaml", "pyproject.toml")
    return not any(name.endswith((".py", ".ipynb")) or name.startswith(settings) for name in names)
