"""Which tags a repository of a registry has, and what is behind one: for keeping the tables, not for builds.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md, with anonymous tokens as Docker Hub
asks for them: https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import Request, urlopen

from ...errors import ImageError

DOCKER_HUB = "https://registry-1.docker.io"
_PAGE = 1000
_TIMEOUT_S = 30.0
_MAX_BYTES = 16 << 20
_LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class TagFacts(NamedTuple):
    platforms: list[str]
    """`linux/amd64`, sorted."""
    env: dict[str, str]
    """Variables of the image for the first of them."""


class Repository:
    """One repository of a registry, read without a password."""

    def __init__(self, name: str, registry: str = DOCKER_HUB) -> None:
        """
        Args:
            name: `nvidia/cuda`
            registry: `https://registry-1.docker.io`
        """
        self.address = f"{registry.rstrip('/')}/v2/{name}"
        self._token = ""

    def tags(self) -> list[str]:
        """All of them, in the order of the registry, however many pages they fill.

        Raises:
            ImageError: the registry does not answer, or not with a list of tags.
        """
        found: list[str] = []
        page = f"{self.address}/tags/list?n={_PAGE}"
        seen = set()
        while page and page not in seen:
            seen.add(page)
            answer, link = self._get(page, ("application/json",))
            tags = answer.get("tags")
            if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
                raise ImageError(f"{page} gave no list of tags")
            found += tags
            page = self._next(page, link)
        return list(dict.fromkeys(found))

    def facts(self, tag: str) -> TagFacts:
        """What is behind a tag, from its manifests.

        Raises:
            ImageError: the registry does not answer, or has no such tag.
        """
        manifest, _ = self._get(f"{self.address}/manifests/{tag}", (*_LISTS, *_IMAGES))
        platforms = {}
        for entry in manifest.get("manifests") or []:
            platform = entry.get("platform") or {}
            if platform.get("os") == "linux":  # others are attestations
                platforms[f"linux/{platform['architecture']}"] = entry["digest"]
        if platforms:
            first = platforms[min(platforms)]
            manifest, _ = self._get(f"{self.address}/manifests/{first}", _IMAGES)
        config, _ = self._get(f"{self.address}/blobs/{manifest['config']['digest']}", ("*/*",))
        own = f"{config['os']}/{config['architecture']}"
        env = (config.get("config") or {}).get("Env") or []
        return TagFacts(sorted(platforms) or [own], dict(text.partition("=")[::2] for text in env))

    def _next(self, page: str, link: str) -> str:
        """The page after this one, of this registry; empty: there is none."""
        found = _NEXT.search(link)
        if found is None:
            return ""
        following = urljoin(page, str(found[1]))
        if urlsplit(following)[:2] != urlsplit(page)[:2]:
            raise ImageError(f"{page} says that it goes on at {following}, which is another server")
        return following

    def _get(self, url: str, kinds: tuple[str, ...]) -> tuple[dict[str, Any], str]:
        """The JSON and its header `Link`; asks for a token when the registry wants one."""
        try:
            return self._ask(url, kinds)
        except HTTPError as error:
            challenge = error.headers.get("www-authenticate", "")
            if error.code != 401 or not challenge.lower().startswith("bearer ") or self._token:
                raise _words(url, error) from error
        except (URLError, TimeoutError, ValueError) as error:
            raise _words(url, error) from error
        self._token = self._fetch_token(challenge)
        try:
            return self._ask(url, kinds)
        except (HTTPError, URLError, TimeoutError, ValueError) as error:
            raise _words(url, error) from error

    def _ask(self, url: str, kinds: tuple[str, ...]) -> tuple[dict[str, Any], str]:
        request = Request(url, headers={"accept": ", ".join(kinds)})  # noqa: S310 - an address of the caller's
        if self._token:  # not for the storage that blobs are redirected to
            request.add_unredirected_header("authorization", f"Bearer {self._token}")
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            found = json.loads(answer.read(_MAX_BYTES))
            if not isinstance(found, dict):
                raise ValueError("no JSON object")  # noqa: TRY004 - as all else that is no JSON
            return found, str(answer.headers.get("link", ""))

    def _fetch_token(self, challenge: str) -> str:
        asked = dict(_CHALLENGE.findall(challenge))
        realm = asked.pop("realm", "")
        url = f"{realm}?{urlencode({key: asked[key] for key in ('service', 'scope') if key in asked})}"
        if urlsplit(realm).scheme not in {"http", "https"}:
            raise ImageError(f"{self.address} wants a token and does not say from where: {challenge}")
        try:
            found, _ = self._ask(url, ("application/json",))
        except (HTTPError, URLError, TimeoutError, ValueError) as error:
            raise _words(url, error) from error
        return str(found.get("token") or found.get("access_token") or "")


def _words(url: str, error: Exception) -> ImageError:
    if isinstance(error, HTTPError) and error.code == 429:
        return ImageError(f"{url}: too many requests; Docker Hub counts them for six hours: go on later")
    return ImageError(f"{url}: {error}")
