"""Package indexes by name: the bundle keeps name and address, the machine that installs keeps the password.

Names and meaning are those of uv: https://docs.astral.sh/uv/concepts/indexes/. User and password of the index
`corp` come from `UV_INDEX_CORP_USERNAME` and `UV_INDEX_CORP_PASSWORD`, from `~/.netrc` or from a keyring.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ...errors import BuildError, ConfigError
from ...runtime.service.bundlefile import IndexOptions
from ...runtime.service.options import nearest
from .line import has_password
from .needs import Index
from .toml import parse_toml, read_toml, rows

CONFIG_FILE = "env/python/uv.toml"
"""In the bundle, when it has named indexes."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ABSENT = re.compile(r"\s+")


def index_of(name: str, url: str, *, default: bool = False, explicit: bool = False) -> Index:
    """
    Raises:
        ConfigError: no name, or no address that other machines can reach.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"index {name!r}: give it a name of letters, digits and . _ -")
    if not url.startswith(("https://", "http://")) or _ABSENT.search(url):
        raise ConfigError(f"index {name}: {url!r} is no address with https://")
    return Index(name, url, default, explicit)


def without_password(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def machine_indexes(environment: Mapping[str, str] | None = None) -> dict[str, Index]:
    """Indexes that this machine knows by name: those of uv.toml and of `UV_INDEX`, `UV_DEFAULT_INDEX`."""
    environment = os.environ if environment is None else environment
    found: dict[str, Index] = {}
    for index in (*_variables(environment), *_files(environment)):
        found.setdefault(index.name, index)
    return found


def named_indexes(names: Sequence[str | IndexOptions], known: Mapping[str, Index]) -> list[Index]:
    """Of the key `indexes:`.

    Args:
        names: a name that this machine knows, or name and address.
        known: what `machine_indexes` and the project say.

    Raises:
        ConfigError: nobody knows the name.
        BuildError: an address with a password.
    """
    found = []
    for each in names:
        if isinstance(each, str):
            if each not in known:
                raise ConfigError(
                    f"python.indexes: {each!r} is not known here{nearest(each, list(known))}: name its "
                    f"address too ({{name: {each}, url: https://…}}), or put it into ~/.config/uv/uv.toml or "
                    f"UV_INDEX={each}=https://…"
                )
            check_no_password(known[each].name, known[each].url)
            found.append(known[each])
            continue
        check_no_password(each.name, each.url)
        found.append(index_of(each.name, each.url, default=each.default, explicit=each.explicit))
    return found


def check_no_password(name: str, url: str) -> None:
    """
    Raises:
        BuildError: before the host or behind the `?`; the bundle keeps the address.
    """
    if without_password(url) != url or has_password(url):
        raise BuildError(
            f"python.indexes: the address of {name} carries a password: remove it, and set "
            f"{variable(name)}_USERNAME and …_PASSWORD in the environment"
        )


def variable(name: str) -> str:
    """`UV_INDEX_CORP` of `corp`: what `_USERNAME` and `_PASSWORD` are hung on."""
    return f"UV_INDEX_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"


def credential_names(config: str) -> list[str]:
    """`UV_INDEX_CORP_USERNAME` and `UV_INDEX_CORP_PASSWORD` for each index of a `config_text`."""
    return [
        f"{variable(index.name)}_{part}"
        for index in config_indexes(config)
        for part in ("USERNAME", "PASSWORD")
    ]


def config_indexes(config: str) -> list[Index]:
    """The indexes of a `config_text`.

    Raises:
        BuildError: it is no TOML.
        ConfigError: an index without name or address.
    """
    return [
        index_of(str(row.get("name", "")), str(row.get("url", "")), default=bool(row.get("default")))
        for row in rows(parse_toml(config, CONFIG_FILE).get("index"))
    ]


def index_flags(indexes: Sequence[Index]) -> list[str]:
    """Of uv's command line: by name, so that it finds user and password of each."""
    return [
        part
        for index in indexes
        if not index.explicit
        for part in ("--default-index" if index.default else "--index", f"{index.name}={index.url}")
    ]


def config_text(indexes: Sequence[Index]) -> str:
    """`uv.toml` with the indexes; empty when there are none."""
    blocks = []
    for index in indexes:
        lines = [f"name = {json.dumps(index.name)}", f"url = {json.dumps(index.url)}"]
        lines += ["default = true"] if index.default else []
        blocks.append("[[index]]\n" + "".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)


def _variables(environment: Mapping[str, str]) -> Iterator[Index]:
    for key in ("UV_INDEX", "UV_DEFAULT_INDEX"):
        for text in environment.get(key, "").split():
            name, equals, url = text.partition("=")
            if equals and _NAME.fullmatch(name) and "://" in url:
                yield Index(name, without_password(url), default=key == "UV_DEFAULT_INDEX")


def _files(environment: Mapping[str, str]) -> Iterator[Index]:
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    named = environment.get("UV_CONFIG_FILE")
    for path in (named, f"{home}/uv/uv.toml", "/etc/uv/uv.toml"):
        if not path or not Path(path).is_file():
            continue
        for row in rows(read_toml(Path(path)).get("index")):
            name, url = str(row.get("name", "")), str(row.get("url", ""))
            if _NAME.fullmatch(name) and "://" in url:
                yield Index(
                    name,
                    without_password(url),
                    default=bool(row.get("default")),
                    explicit=bool(row.get("explicit")),
                )
