"""What a service needs when no file says so: the distributions of what it imports, as installed here.

A module counts when a file that the service can reach imports it, by statement or, seen while the service was
imported for its description, by other means. What those packages need themselves is not listed: the lock adds
it, in the versions of this environment. Nothing else of the environment goes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution
from pathlib import Path

from .imports import Import, reachable_imports
from .indexes import without_password
from .installed import (
    InstalledPackages,
    direct_url,
    extra_requirements,
    local_folder,
    name_of_distribution,
    public_version,
)
from .line import has_password
from .lockfile import Locked
from .needs import Local, Needs, Wanted
from .wheel import DISTRIBUTION

SOURCE = "imports"


def infer(
    source: Path,
    modules: Sequence[str],
    *,
    seen: Iterable[tuple[str, str]] = (),
    more: Iterable[str] = (),
    packages: InstalledPackages | None = None,
) -> Needs:
    """
    Args:
        source: the snapshot's source folder.
        modules: names of its modules that were imported, the service's first.
        seen: importer and imported top-level module, as observed; an empty importer is the service's code.
        more: top-level modules that are known to be imported.
        packages: what is installed.
    """
    packages = packages or InstalledPackages()
    needs = Needs(source=SOURCE)
    imports = reachable_imports(source, modules)
    known = {each.top for each in imports}
    seen = list(seen)
    dynamic = {top for importer, top in seen if not importer} | set(more)
    imports += [Import(top, "the service's code", optional=True) for top in sorted(dynamic - known)]
    found: dict[str, Distribution] = {}
    missing: dict[str, str] = {}
    for each in imports:
        if each.top == DISTRIBUTION:
            continue
        owners = packages.of_module(each.module)
        if not owners and not each.optional:
            missing.setdefault(each.top, each.where)
        for owner in owners:
            name = name_of_distribution(owner)
            if name not in found and name != DISTRIBUTION:
                found[name] = owner
                _add(needs, owner, f"{each.where} (import {each.top})")
    for name, owner, where in list(_optional(found, seen, packages)):
        if name not in found:
            found[name] = owner
            _add(needs, owner, where)
    needs.wanted.sort(key=lambda wanted: wanted.text)
    if missing:
        listed = ", ".join(f"{top} ({where})" for top, where in sorted(missing.items()))
        needs.notes.append(
            f"imported, but of no package that is installed here: {listed}; if the service needs it, name "
            "it in bundlefile.yaml: python: {packages: […]}"
        )
    return needs


def _optional(
    found: dict[str, Distribution], seen: Sequence[tuple[str, str]], packages: InstalledPackages
) -> Iterable[tuple[str, Distribution, str]]:
    """Extras in use: a package that the service imports imported what only an extra of its own asks for."""
    by_importer: dict[str, set[str]] = {}
    for importer, top in seen:
        by_importer.setdefault(importer, set()).add(top)
    for importer, tops in sorted(by_importer.items()):
        for owner in packages.of_module(importer) if importer else []:
            name = name_of_distribution(owner)
            if name not in found:
                continue
            extras = extra_requirements(owner)
            for top in sorted(tops):
                for used in packages.of_module(top):
                    wanted = name_of_distribution(used)
                    extra = next((extra for extra in sorted(extras) if wanted in extras[extra]), "")
                    if extra:
                        yield wanted, used, f"{name}[{extra}], imported by {importer}"


def _add(needs: Needs, owner: Distribution, where: str) -> None:
    """The requirement that gives just what is installed."""
    name, version = name_of_distribution(owner), owner.version
    origin = direct_url(owner)
    url = str(origin.get("url", ""))
    url = without_password(url) if has_password(url) else url
    folder = local_folder(owner)
    if folder is not None:
        needs.locals.append(Local(folder, where, name=name, editable=True))
    elif url.startswith("file:"):
        needs.locals.append(Local(Path(str(owner.locate_file(""))), where, name=name))
    elif "vcs_info" in origin:
        info = origin["vcs_info"]
        below = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
        address = f"{info.get('vcs', 'git')}+{url}@{info.get('commit_id', '')}{below}"
        needs.wanted.append(Wanted(f"{name} @ {address}", where))
    elif "archive_info" in origin:
        needs.pin(Locked(name=name, url=url, hashes=_hashes(origin)), where)
    else:
        needs.wanted.append(Wanted(f"{name}=={public_version(version)}", where))


def _hashes(origin: dict[str, object]) -> tuple[str, ...]:
    info = origin["archive_info"]
    hashes = info.get("hashes") if isinstance(info, dict) else None
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    return (str(digest),) if digest else ()
